"""Text generation as something to learn: the next token, of a decoder trained from scratch."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from streamproc.errors import TrainingError
from streamproc.offline.corpus.passages import Passage, read_passages
from streamproc.offline.corpus.rows import Source
from streamproc.offline.evaluation.token_blocks import token_blocks
from streamproc.offline.training.byte_level import byte_level_bpe
from streamproc.offline.training.decoder import OnnxDecoder, check_decoder
from streamproc.offline.training.devices import array, tensor
from streamproc.offline.training.exporting import export_decoder
from streamproc.offline.training.next_token import score_next_tokens
from streamproc.offline.training.on_disk import TokenRows
from streamproc.offline.training.precision import export_smallest
from streamproc.offline.training.shared_artifacts import SharedArtifacts
from streamproc.offline.training.training_task import (
    ExportedMember,
    MemberTrainer,
    Metrics,
    TaskSetup,
    TrainingTask,
)
from streamproc.offline.training.weight_only_int8 import store_in_eight_bits
from streamproc.repository.toml import TomlValue
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window
from streamproc.types import Float32Array, Int64Array

# Between texts, before a text, and at the end of one that is written.
END_OF_TEXT = "<|endoftext|>"
# What corpora have in the place of rare words; never written.
UNKNOWN = "<unk>"

# (rows, tokens) of token ids to (rows, tokens, vocabulary) logits of what comes after each.
RunBlocks = Callable[[Int64Array], Float32Array]
_SCORED_AT_ONCE = 16
_CHECKED_BLOCKS = 8


@dataclass(frozen=True)
class TextGeneration(TrainingTask[Passage]):
    """A writer of text: GPT-2's shape, from scratch, byte-level BPE learned from the corpus.

    context: the longest text, in tokens
    """

    task = "text-generation"

    vocabulary_size: int = 2000
    layers: int = 3
    heads: int = 4
    width: int = 128
    ffn_width: int = 512
    context: int = 256
    text_field: str = "text"

    @property
    def base(self) -> str:
        return f"none: GPT-2's shape from scratch, {self.layers} layers of {self.width}"

    def read(self, source: Source) -> Iterator[Passage]:
        return read_passages(source, self.text_field)

    def prepare(self, train: Iterable[Passage], seed: int) -> SharedArtifacts:
        if self.width % self.heads:
            raise TrainingError(f"{self.heads} heads do not divide a width of {self.width}.")
        texts = (passage.text for passage in train)
        return SharedArtifacts(byte_level_bpe(texts, self.vocabulary_size, [END_OF_TEXT, UNKNOWN]))

    def setup(self, shared: SharedArtifacts, seed: int) -> TaskSetup[Passage]:
        tokenizer = shared.tokenizer
        end, unknown = (tokenizer.token_to_id(token) for token in (END_OF_TEXT, UNKNOWN))

        def new_member(
            train: Sequence[Passage], valid: Sequence[Passage], batch_size: int, _: int
        ) -> MemberTrainer[Int64Array]:
            torch.manual_seed(seed)
            config = GPT2Config(
                vocab_size=tokenizer.get_vocab_size(),
                n_positions=self.context,
                n_embd=self.width,
                n_layer=self.layers,
                n_head=self.heads,
                n_inner=self.ffn_width,
                bos_token_id=end,
                eos_token_id=end,
            )
            learned, measured = (blocks(some, tokenizer, self.context) for some in (train, valid))
            return BlockTrainer(GPT2LMHeadModel(config), learned, measured, batch_size)

        decoding: dict[str, TomlValue] = {
            "end_tokens": [end],
            "banned_tokens": [unknown],
            "max_tokens": self.context,
            "max_new_tokens": min(64, self.context // 2),
        }
        return TaskSetup(tokenizer, Window(self.context, 0), new_member, decoding=decoding)


def blocks(passages: Iterable[Passage], tokenizer: Tokenizer, context: int) -> TokenRows:
    """The passages as blocks of `context` tokens, on disk; raises TrainingError without any."""
    found = token_blocks(
        (passage.text for passage in passages),
        TextTokenizer(tokenizer.to_str().encode()),
        tokenizer.token_to_id(END_OF_TEXT),
        context,
        TrainingError,
    )
    return TokenRows(ids for ids, _ in found)


class BlockTrainer(MemberTrainer[Int64Array]):
    """Blocks of text, drawn in another order each epoch."""

    def __init__(
        self, model: nn.Module, train: TokenRows, valid: TokenRows, batch_size: int
    ) -> None:
        self.model = model
        self._train, self._valid, self._batch_size = train, valid, batch_size
        self.steps = -(-len(train) // batch_size)

    def batches(self, order: random.Random) -> Iterator[Int64Array]:
        rows = list(range(len(self._train)))
        order.shuffle(rows)
        return _batches(self._train, rows, self._batch_size)

    def loss(self, batch: Int64Array) -> torch.Tensor:
        ids = tensor(batch, self.model)
        logits = self.model(input_ids=ids).logits[:, :-1]
        return nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())

    def evaluate(self) -> Metrics:
        return self._measure(self._run)

    def export(self, work: Path, target: Path, precision: str) -> ExportedMember:
        fp32 = work / "model.onnx"
        export_decoder(self.model, fp32)
        checked = next(_batches(self._valid, range(len(self._valid)), _CHECKED_BLOCKS))
        difference = check_decoder(OnnxDecoder(fp32), checked, self._run(checked))

        def evaluate(files: Sequence[Path]) -> Metrics:
            decoder = OnnxDecoder(files[0])
            check_decoder(decoder, checked)
            return self._measure(decoder.read)

        writers = {"int8-weights": store_in_eight_bits}
        return export_smallest(
            precision, [fp32], writers, evaluate, target, export_difference=difference
        )

    def _measure(self, run: RunBlocks) -> Metrics:
        """How well a model predicts each token of a block from the block's own earlier ones."""
        read = _batches(self._valid, range(len(self._valid)), _SCORED_AT_ONCE)
        return score_next_tokens((run(rows)[:, :-1], rows[:, 1:]) for rows in read)

    def _run(self, ids: Int64Array) -> Float32Array:
        self.model.eval()
        with torch.inference_mode():
            return array(self.model(input_ids=tensor(ids, self.model)).logits)


def _batches(blocks: TokenRows, rows: Sequence[int], size: int) -> Iterator[Int64Array]:
    """(rows, context) some of the blocks at a time."""
    for first in range(0, len(rows), size):
        yield np.stack([blocks[row] for row in rows[first : first + size]])
