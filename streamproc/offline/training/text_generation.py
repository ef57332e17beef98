"""Text generation as something to learn: the next token, of a decoder trained from scratch."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from streamproc.errors import TrainingError
from streamproc.offline.corpus.passages import Passage, read_passages
from streamproc.offline.corpus.rows import Source
from streamproc.offline.training.byte_level import byte_level_bpe
from streamproc.offline.training.decoder import OnnxDecoder, check_decoder
from streamproc.offline.training.devices import array, tensor
from streamproc.offline.training.encoding import encoded
from streamproc.offline.training.exporting import export_decoder
from streamproc.offline.training.next_token import judge_next_tokens
from streamproc.offline.training.on_disk import TokenRows
from streamproc.offline.training.precision import choose
from streamproc.offline.training.scoring import WindowSize
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
from streamproc.types import Int64Array

# Between texts, before a text, and at the end of one that is written.
END_OF_TEXT = "<|endoftext|>"
# What corpora have in the place of rare words; never written.
UNKNOWN = "<unk>"

# (rows, tokens) of token ids to (rows, tokens, vocabulary) logits of what comes after each.
RunBlocks = Callable[[Int64Array], NDArray[np.float32]]
_SCORED_AT_ONCE = 16


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

    def classroom(self, groundwork: SharedArtifacts, seed: int) -> TaskSetup[Passage]:
        return _Classroom(self, groundwork.tokenizer, seed)


class _Classroom(TaskSetup[Passage]):
    def __init__(self, course: TextGeneration, tokenizer: Tokenizer, seed: int) -> None:
        self._course, self._seed = course, seed
        self.tokenizer = tokenizer
        self.window = WindowSize(course.context, 0)

    @property
    def decoding(self) -> Mapping[str, TomlValue]:  # type: ignore[override]
        return {
            "end_tokens": [self.tokenizer.token_to_id(END_OF_TEXT)],
            "banned_tokens": [self.tokenizer.token_to_id(UNKNOWN)],
            "max_tokens": self._course.context,
            "max_new_tokens": min(64, self._course.context // 2),
        }

    def lesson(
        self, train: Sequence[Passage], valid: Sequence[Passage], batch_size: int, seed: int
    ) -> MemberTrainer[Int64Array]:
        course = self._course
        end = self.tokenizer.token_to_id(END_OF_TEXT)
        torch.manual_seed(self._seed)
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=self.tokenizer.get_vocab_size(),
                n_positions=course.context,
                n_embd=course.width,
                n_layer=course.layers,
                n_head=course.heads,
                n_inner=course.ffn_width,
                bos_token_id=end,
                eos_token_id=end,
            )
        )
        return WritingLesson(
            model,
            blocks(train, self.tokenizer, course.context),
            blocks(valid, self.tokenizer, course.context),
            batch_size,
        )


def blocks(passages: Iterable[Passage], tokenizer: Tokenizer, context: int) -> TokenRows:
    """Blocks of `context` tokens: all passages one after another, an end-of-text before each.

    What is left over at the end and fills no block is left out.
    Raises TrainingError when nothing fills one.
    """
    end = tokenizer.token_to_id(END_OF_TEXT)
    found, over = TokenRows(), np.empty(0, dtype=np.int64)
    for encoding in encoded(tokenizer, (passage.text for passage in passages)):
        joined = np.concatenate([over, [end], np.asarray(encoding.ids, dtype=np.int64)])
        whole = len(joined) // context * context
        for block in joined[:whole].reshape(-1, context):
            found.append(block)
        over = joined[whole:]
    if not len(found):
        raise TrainingError(f"{len(over)} tokens do not fill a context of {context}.")
    return found


class WritingLesson(MemberTrainer[Int64Array]):
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
        for first in range(0, len(rows), self._batch_size):
            yield _rows(self._train, rows[first : first + self._batch_size])

    def loss(self, batch: Int64Array) -> torch.Tensor:
        ids = tensor(batch, self.model)
        logits = self.model(input_ids=ids).logits[:, :-1]
        return nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())

    def judge(self) -> Metrics:
        return judge_blocks(self._run, self._valid)

    def ship(self, work: Path, target: Path, precision: str) -> ExportedMember:
        fp32 = work / "model.onnx"
        export_decoder(self.model, fp32)
        checked = _rows(self._valid, range(min(8, len(self._valid))))
        difference = check_decoder(OnnxDecoder(fp32), checked, self._run(checked))

        def judged(files: Sequence[Path]) -> Metrics:
            decoder = OnnxDecoder(files[0])
            check_decoder(decoder, checked)
            return judge_blocks(decoder.read, self._valid)

        writers = {"int8-weights": store_in_eight_bits}
        whole, form = choose(precision, [fp32], writers, judged)
        path = target / "model.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(form.files[0].read_bytes())
        found = (whole, form.judgement)
        return ExportedMember(path, None, form.precision, difference, *found, why=form.why)

    def _run(self, ids: Int64Array) -> NDArray[np.float32]:
        self.model.eval()
        with torch.inference_mode():
            return array(self.model(input_ids=tensor(ids, self.model)).logits)


def judge_blocks(run: RunBlocks, blocks: TokenRows) -> Metrics:
    """How well a model foresees each token of a block from the block's own earlier ones."""
    places = range(len(blocks))
    firsts = range(0, len(blocks), _SCORED_AT_ONCE)
    some = (_rows(blocks, places[first : first + _SCORED_AT_ONCE]) for first in firsts)
    return judge_next_tokens((run(rows)[:, :-1], rows[:, 1:]) for rows in some)


def _rows(blocks: TokenRows, places: Iterable[int]) -> Int64Array:
    """(rows, context) some of the blocks."""
    return np.stack([blocks[place] for place in places])
