"""Translation as something to learn: a sentence of another language, token by token."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, tee
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, processors
from torch import nn
from transformers import MarianConfig, MarianMTModel

from streamproc.errors import TrainingError
from streamproc.offline.corpus.pairs import Pair, read_pairs
from streamproc.offline.corpus.rows import Source
from streamproc.offline.training.byte_level import byte_level_bpe
from streamproc.offline.training.devices import array, tensor
from streamproc.offline.training.encoder_decoder import OnnxEncoderDecoder, check_encoder_decoder
from streamproc.offline.training.encoding import encoded
from streamproc.offline.training.exporting import export_encoder_decoder
from streamproc.offline.training.next_token import judge_next_tokens
from streamproc.offline.training.on_disk import TokenRows
from streamproc.offline.training.pair_batches import PairBatch, pad_pairs
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
from streamproc.offline.training.windows import NO_TARGET
from streamproc.repository.toml import TomlValue

# As Marian has it, padding is what a translation begins with, and is never written.
PADDING = "<pad>"
END = "</s>"

# A batch to (pairs, tokens, vocabulary) logits of what comes after what is written.
RunPairs = Callable[[PairBatch], NDArray[np.float32]]


@dataclass(frozen=True)
class Translation(TrainingTask[Pair]):
    """A translator: Marian's shape, from scratch, one byte-level BPE for both languages.

    layers:          of the encoder, and of the decoder
    context:         the longest source, and the longest translation, in tokens
    joined_share:    of the pairs, that are learned together with another one, as a text of two
        sentences: a corpus of short sentences alone teaches nothing of longer texts
    label_smoothing: of the loss that is minimised; judged without
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

    def classroom(self, groundwork: SharedArtifacts, seed: int) -> TaskSetup[Pair]:
        return _Classroom(self, groundwork.tokenizer, seed)


def shared_bpe(texts: Iterator[str], size: int) -> Tokenizer:
    """A tokenizer of both languages that puts the end behind each text."""
    tokenizer = byte_level_bpe(texts, size, [PADDING, END])
    end = (END, tokenizer.token_to_id(END))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", pair=f"$A $B {END}", special_tokens=[end]
    )
    return tokenizer


class _Classroom(TaskSetup[Pair]):
    def __init__(self, course: Translation, tokenizer: Tokenizer, seed: int) -> None:
        self._course, self._seed = course, seed
        self.tokenizer = tokenizer
        self.window = WindowSize(course.context, 0)
        self._padding, self._end = (self.tokenizer.token_to_id(t) for t in (PADDING, END))

    @property
    def decoding(self) -> Mapping[str, TomlValue]:  # type: ignore[override]
        return {
            "start_token": self._padding,
            "end_tokens": [self._end],
            "banned_tokens": [self._padding],
            "forced_end_token": self._end,
            "max_tokens": self._course.context,
            "max_new_tokens": self._course.context - 1,
            "beams": 1,
            "length_penalty": 1.0,
        }

    def lesson(
        self, train: Sequence[Pair], valid: Sequence[Pair], batch_size: int, seed: int
    ) -> MemberTrainer[PairBatch]:
        course = self._course
        torch.manual_seed(self._seed)
        model = MarianMTModel(
            MarianConfig(
                vocab_size=self.tokenizer.get_vocab_size(),
                d_model=course.width,
                encoder_layers=course.layers,
                decoder_layers=course.layers,
                encoder_attention_heads=course.heads,
                decoder_attention_heads=course.heads,
                encoder_ffn_dim=course.ffn_width,
                decoder_ffn_dim=course.ffn_width,
                max_position_embeddings=course.context,
                scale_embedding=True,
                activation_function="relu",
                pad_token_id=self._padding,
                decoder_start_token_id=self._padding,
                eos_token_id=self._end,
                forced_eos_token_id=self._end,
                bad_words_ids=[[self._padding]],
            )
        )
        return TranslatingLesson(model, self.tokenizer, train, valid, course, batch_size)


class TranslatingLesson(MemberTrainer[PairBatch]):
    """Pairs in batches of like length, some of them joined in twos, anew each epoch."""

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Tokenizer,
        train: Sequence[Pair],
        valid: Sequence[Pair],
        course: Translation,
        batch_size: int,
    ) -> None:
        self.model = model
        self._tokenizer, self._course = tokenizer, course
        self._train = train
        self._batch_size = batch_size
        self._valid = list(self._batched(((pair.source, pair.target) for pair in valid), None))
        joined = round(len(train) * course.joined_share) // 2
        self.steps = -(-(len(train) - joined) // batch_size)

    def batches(self, order: random.Random) -> Iterator[PairBatch]:
        places = list(range(len(self._train)))
        order.shuffle(places)
        joined = round(len(places) * self._course.joined_share) // 2
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
            label_smoothing=self._course.label_smoothing,
        )

    def judge(self) -> Metrics:
        return _judged(self._run, self._valid)

    def ship(self, work: Path, target: Path, precision: str) -> ExportedMember:
        export_encoder_decoder(self.model, work)
        fp32 = [work / "encoder_model.onnx", work / "decoder_model_merged.onnx"]
        checked = self._valid[len(self._valid) // 2]
        exported = OnnxEncoderDecoder(*fp32)
        difference = check_encoder_decoder(exported, checked, self._run(checked))

        def judged(files: Sequence[Path]) -> Metrics:
            model = OnnxEncoderDecoder(*files)
            check_encoder_decoder(model, checked)
            return _judged(model.read, self._valid)

        writers = {"int8-weights": store_in_eight_bits}
        whole, form = choose(precision, fp32, writers, judged)
        target.mkdir(parents=True, exist_ok=True)
        encoder, decoder = (target / path.name for path in fp32)
        for made, file in zip(form.files, (encoder, decoder), strict=True):
            file.write_bytes(made.read_bytes())
        found = (whole, form.judgement)
        return ExportedMember(encoder, decoder, form.precision, difference, *found, why=form.why)

    def _batched(
        self, texts: Iterable[tuple[str, str]], order: random.Random | None
    ) -> Iterator[PairBatch]:
        """The pairs in batches of like length; what is longer than the context is left out."""
        sources, targets = TokenRows(), TokenRows()
        own, others = tee(texts)
        said = encoded(self._tokenizer, (source for source, _ in own), specials=True)
        meant = encoded(self._tokenizer, (target for _, target in others), specials=True)
        for source, target in zip(said, meant, strict=True):
            if max(len(source.ids), len(target.ids)) <= self._course.context:
                sources.append(source.ids)
                targets.append(target.ids)
        ranked = np.argsort(sources.lengths() + targets.lengths(), kind="stable")
        firsts = list(range(0, len(ranked), self._batch_size))
        if order is not None:
            order.shuffle(firsts)
        padding = self._tokenizer.token_to_id(PADDING)
        for first in firsts:
            group = ranked[first : first + self._batch_size]
            yield pad_pairs([(sources[place], targets[place]) for place in group], padding)

    def _logits(self, batch: PairBatch) -> torch.Tensor:
        logits: torch.Tensor = self.model(
            input_ids=tensor(batch.source, self.model),
            attention_mask=tensor(batch.source_mask, self.model),
            decoder_input_ids=tensor(batch.written, self.model),
        ).logits
        return logits

    def _run(self, batch: PairBatch) -> NDArray[np.float32]:
        self.model.eval()
        with torch.inference_mode():
            return array(self._logits(batch))


def _judged(run: RunPairs, batches: Sequence[PairBatch]) -> Metrics:
    return judge_next_tokens((run(batch), batch.targets) for batch in batches)
