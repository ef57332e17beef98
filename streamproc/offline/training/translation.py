"""Translation as something to learn: a sentence of another language, token by token."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, processors
from torch import nn
from transformers import MarianConfig, MarianMTModel

from streamproc.errors import TrainingError
from streamproc.offline.corpus.rows import Source
from streamproc.offline.corpus.translation_pairs import Pair, read_pairs
from streamproc.offline.training.byte_level import byte_level_bpe
from streamproc.offline.training.devices import array, tensor
from streamproc.offline.training.encoder_decoder import OnnxEncoderDecoder, check_encoder_decoder
from streamproc.offline.training.exporting import export_encoder_decoder
from streamproc.offline.training.labelled_chunks import NO_TARGET, groups_by_length
from streamproc.offline.training.next_token import score_next_tokens
from streamproc.offline.training.on_disk import TokenRows
from streamproc.offline.training.pair_batches import PairBatch, pad_pairs
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
from streamproc.serving.chunking.windows import Window
from streamproc.types import Float32Array

# As Marian has it, padding is what a translation begins with, and is never written.
PADDING = "<pad>"
END = "</s>"

# A batch to (pairs, tokens, vocabulary) logits of what comes after what is written.
RunPairs = Callable[[PairBatch], Float32Array]
# What a tokenizer says of a text is far larger than the text.
_ENCODED_AT_ONCE = 512


@dataclass(frozen=True)
class Translation(TrainingTask[Pair]):
    """A translator: Marian's shape, from scratch, one byte-level BPE for both languages.

    layers:          of the encoder, and of the decoder
    context:         the longest source, and the longest translation, in tokens
    joined_share:    of the pairs, that are learned together with another one, as a text of two
        sentences: a corpus of short sentences alone teaches nothing of longer texts
    label_smoothing: of the loss that is minimised; measured without
    """

    task = "translation"

    vocabulary_size: int = 3000
    layers: int = 2
    heads: int = 4
    width: int = 128
    ffn_width: int = 512
    context: int = 128
    joined_share: float = 0.25
    label_smoothing: float = 0.1

    @property
    def base(self) -> str:
        layers = f"{self.layers} + {self.layers} layers of {self.width}"
        return f"none: Marian's shape from scratch, {layers}"

    def read(self, source: Source) -> Iterator[Pair]:
        return read_pairs(source)

    def prepare(self, train: Iterable[Pair], seed: int) -> SharedArtifacts:
        if self.width % (2 * self.heads):
            raise TrainingError(f"{self.heads} heads do not divide a width of {self.width} evenly.")
        texts = chain.from_iterable((pair.source, pair.target) for pair in train)
        return SharedArtifacts(shared_bpe(texts, self.vocabulary_size))

    def setup(self, shared: SharedArtifacts, seed: int) -> TaskSetup[Pair]:
        tokenizer = shared.tokenizer
        padding, end = (tokenizer.token_to_id(token) for token in (PADDING, END))

        def new_member(
            train: Sequence[Pair], valid: Sequence[Pair], batch_size: int, _: int
        ) -> MemberTrainer[PairBatch]:
            torch.manual_seed(seed)
            config = MarianConfig(
                vocab_size=tokenizer.get_vocab_size(),
                d_model=self.width,
                encoder_layers=self.layers,
                decoder_layers=self.layers,
                encoder_attention_heads=self.heads,
                decoder_attention_heads=self.heads,
                encoder_ffn_dim=self.ffn_width,
                decoder_ffn_dim=self.ffn_width,
                max_position_embeddings=self.context,
                scale_embedding=True,
                activation_function="relu",
                pad_token_id=padding,
                decoder_start_token_id=padding,
                eos_token_id=end,
                forced_eos_token_id=end,
                bad_words_ids=[[padding]],
            )
            return PairTrainer(MarianMTModel(config), tokenizer, train, valid, self, batch_size)

        decoding = {
            "start_token": padding,
            "end_tokens": [end],
            "banned_tokens": [padding],
            "forced_end_token": end,
            "max_tokens": self.context,
            "max_new_tokens": self.context - 1,
            "beams": 1,
            "length_penalty": 1.0,
        }
        return TaskSetup(tokenizer, Window(self.context, 0), new_member, decoding=decoding)


def shared_bpe(texts: Iterator[str], size: int) -> Tokenizer:
    """A tokenizer of both languages that puts the end behind each text."""
    tokenizer = byte_level_bpe(texts, size, [PADDING, END])
    end = (END, tokenizer.token_to_id(END))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", pair=f"$A $B {END}", special_tokens=[end]
    )
    return tokenizer


class PairTrainer(MemberTrainer[PairBatch]):
    """Pairs in batches of like length, some of them joined in twos, anew each epoch."""

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Tokenizer,
        train: Sequence[Pair],
        valid: Sequence[Pair],
        task: Translation,
        batch_size: int,
    ) -> None:
        self.model = model
        self._tokenizer, self._task = tokenizer, task
        self._train = train
        self._batch_size = batch_size
        self._valid = list(self._batched(((pair.source, pair.target) for pair in valid), None))
        alone = ((pair.source, pair.target) for pair in train)
        self.too_long = len(train) - sum(1 for _ in self._encoded(alone))
        joined = round(len(train) * task.joined_share) // 2
        self.steps = -(-(len(train) - joined) // batch_size)

    def batches(self, order: random.Random) -> Iterator[PairBatch]:
        places = list(range(len(self._train)))
        order.shuffle(places)
        joined = round(len(places) * self._task.joined_share) // 2
        return self._batched(self._texts(places, joined), order)

    def _texts(self, places: Sequence[int], joined: int) -> Iterator[tuple[str, str]]:
        """Pairs in an order, the first ones joined to so many twos."""
        for first, second in zip(places[: 2 * joined : 2], places[1 : 2 * joined : 2], strict=True):
            one, other = self._train[first], self._train[second]
            yield f"{one.source} {other.source}", f"{one.target} {other.target}"
        for place in places[2 * joined :]:
            yield self._train[place].source, self._train[place].target

    def loss(self, batch: PairBatch) -> torch.Tensor:
        return nn.functional.cross_entropy(
            self._logits(batch).flatten(0, 1),
            tensor(batch.targets, self.model).flatten(),
            ignore_index=NO_TARGET,
            label_smoothing=self._task.label_smoothing,
        )

    def evaluate(self) -> Metrics:
        return self._measure(self._run)

    def export(self, work: Path, target: Path, precision: str) -> ExportedMember:
        export_encoder_decoder(self.model, work)
        fp32 = [work / "encoder_model.onnx", work / "decoder_model_merged.onnx"]
        checked = self._valid[len(self._valid) // 2]
        difference = check_encoder_decoder(OnnxEncoderDecoder(*fp32), checked, self._run(checked))

        def evaluate(files: Sequence[Path]) -> Metrics:
            model = OnnxEncoderDecoder(*files)
            check_encoder_decoder(model, checked)
            return self._measure(model.read)

        writers = {"int8-weights": store_in_eight_bits}
        return export_smallest(
            precision, fp32, writers, evaluate, target, export_difference=difference
        )

    def _batched(
        self, texts: Iterator[tuple[str, str]], order: random.Random | None
    ) -> Iterator[PairBatch]:
        """The pairs in batches of like length."""
        sources, targets = TokenRows(), TokenRows()
        for source, target in self._encoded(texts):
            sources.append(source)
            targets.append(target)
        groups = groups_by_length(sources.lengths() + targets.lengths(), self._batch_size)
        if order is not None:
            order.shuffle(groups)
        padding = self._tokenizer.token_to_id(PADDING)
        for group in groups:
            yield pad_pairs([(sources[place], targets[place]) for place in group], padding)

    def _encoded(
        self, texts: Iterator[tuple[str, str]]
    ) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
        """The tokens of each pair; what is longer than the context is left out."""
        while some := list(islice(texts, _ENCODED_AT_ONCE)):
            sides = (self._tokenizer.encode_batch(side) for side in zip(*some, strict=True))
            for source, target in zip(*sides, strict=True):
                if max(len(source.ids), len(target.ids)) <= self._task.context:
                    yield source.ids, target.ids

    def _measure(self, run: RunPairs) -> Metrics:
        return score_next_tokens((run(batch), batch.targets) for batch in self._valid)

    def _logits(self, batch: PairBatch) -> torch.Tensor:
        logits: torch.Tensor = self.model(
            input_ids=tensor(batch.source, self.model),
            attention_mask=tensor(batch.source_mask, self.model),
            decoder_input_ids=tensor(batch.written, self.model),
        ).logits
        return logits

    def _run(self, batch: PairBatch) -> Float32Array:
        self.model.eval()
        with torch.inference_mode():
            return array(self._logits(batch))
