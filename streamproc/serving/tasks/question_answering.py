"""question-answering: the words of a context, of any length, that answer a question.

As the pipeline of that name in transformers 4.57.6, whose answers one member gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from streamproc.serving.chunking.pairs import PairChunk, pair_windows
from streamproc.serving.disagreements import Choices
from streamproc.serving.ensembling.confidence import IDENTITY, Confidence
from streamproc.serving.ensembling.measures import entropy
from streamproc.serving.inference.batch import MemberOutput, SelectedInput
from streamproc.serving.inference.signature import Signature
from streamproc.serving.selection import MemberPolicy
from streamproc.serving.tasks.answers import Answers
from streamproc.serving.tasks.chunk_accumulator import ChunkAccumulator
from streamproc.serving.tasks.combiner import Combiner
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.spans import best_spans
from streamproc.serving.tasks.task import (
    Answer,
    Inputs,
    Job,
    Params,
    ScoringTask,
)
from streamproc.types import FloatArray, JsonObject, Strategy

NonEmpty = Annotated[str, Field(min_length=1)]


class QuestionInputs(Inputs):
    """question, context: neither may be empty, as transformers has it."""

    question: NonEmpty
    context: NonEmpty


class QuestionAnsweringParams(Params):
    """How an answer is chosen.

    top_k: how many answers `answers` lists, where there are so many
    max_answer_tokens: the longest answer, before it is extended to whole words
    handle_impossible_answer: list no answer, "", among the answers, by its score
    no_answer_threshold: the same, but "" stands before those answers only whose score its own
        exceeds by more than this
    align_to_words: extend an answer to the whole words, as the tokenizer cuts words
    combine: how members are combined, instead of the manifest's way
    truncate: only the context's first window
    """

    top_k: Annotated[int, Field(ge=1, le=100)] = 1
    max_answer_tokens: Annotated[int, Field(ge=1, le=256)] = 15
    handle_impossible_answer: bool = False
    no_answer_threshold: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = None
    align_to_words: bool = True
    combine: Literal["mean", "logit_mean", "weighted", "gated"] | None = None
    truncate: bool = False

    @property
    def spans_per_window(self) -> int:
        """transformers' number: extended to words, several spans may be the same answer."""
        return self.top_k * 2 + 10 if self.align_to_words else self.top_k

    @property
    def null_threshold(self) -> float | None:
        """By how much no answer must be likelier than an answer; None: it is not considered."""
        if self.no_answer_threshold is not None:
            return self.no_answer_threshold
        return 0.0 if self.handle_impossible_answer else None


class QuestionAnsweringJob(Job[PairChunk, tuple[MemberOutput, ...]]):
    """A context being read for the answer to a question.

    In every window members' probabilities that a token starts or ends the answer, each over the
    context's tokens and the first special token, which stands for no answer, are combined; only
    then spans are looked for, and the best few kept.
    """

    def __init__(
        self, inputs: QuestionInputs, params: QuestionAnsweringParams, spec: EnsembleSpec
    ) -> None:
        self.characters = len(inputs.context) + len(inputs.question)
        self.texts = (inputs.question, inputs.context)
        self._inputs = inputs
        self._params = params
        self._spec = spec
        self._combiner = Combiner(spec, params.combine)
        self._has_null = len(spec.tokenizer.pair_frame.before) > 0
        self._combined = Answers(inputs.context)
        self._by_member = [Answers(inputs.context) for _ in spec.members]
        self._accumulator = ChunkAccumulator(spec, len(inputs.context))

    def chunks(self) -> Iterator[PairChunk]:
        made = pair_windows(
            self._spec.tokenizer,
            self._inputs.question,
            self._inputs.context,
            self._spec.window,
            *self.encoded,
        )
        return islice(made, 1) if self._params.truncate else made

    def add(self, chunk: PairChunk, outputs: tuple[MemberOutput, ...]) -> None:
        scores = self._accumulator.take(outputs, chunk.end)
        opinions = self._combiner.combine(chunk.ids, self._logits(chunk, scores))
        own = [self._by_member[index] for index in opinions.answered]
        every = np.concatenate((opinions.combined[None], opinions.scores))
        self._find([self._combined, *own], chunk, every)

    def select(self, chunk: PairChunk, policy: MemberPolicy) -> SelectedInput[PairChunk]:
        return self._combiner.select(chunk, policy, partial(self._logits, chunk))

    def answer(self) -> Answer:
        result = self._result(self._combined, self._combiner.confidence)
        by_member = {
            index: self._result(self._by_member[index]) for index in self._accumulator.answered
        }
        scores = np.array(self._combined.scores(with_null=self._params.null_threshold is not None))
        agreement = self._agreement(result, by_member)
        return Answer(
            result=result,
            members=self._accumulator.members(
                by_member.__getitem__ if self._params.return_members else None
            ),
            agreement=agreement,
            entropy=entropy(scores / scores.sum()) if scores.any() else 0.0,
            coverage=self._accumulator.coverage(),
            choices=None if agreement == 1 else self._choices(result, by_member),
        )

    def _choices(self, result: JsonObject, by_member: Mapping[int, JsonObject]) -> Choices:
        names = self._spec.members
        chosen = {names[index].name: _place(own) for index, own in by_member.items()}
        return Choices(_place(result), chosen)

    def _logits(self, chunk: PairChunk, scores: Mapping[int, FloatArray]) -> dict[int, FloatArray]:
        return {index: self._answer_logits(chunk, found) for index, found in scores.items()}

    def _answer_logits(self, chunk: PairChunk, scores: FloatArray) -> FloatArray:
        """(2, answer places): of the places that stand for no answer and for each context token.

        scores: (tokens, 2), of starting and of ending the answer
        """
        context = scores[chunk.content_from : chunk.content_from + chunk.content_tokens]
        if self._has_null:
            null = scores[:1]
        elif not len(context):
            # Nothing to choose from: what is certain is no answer.
            null = np.zeros((1, 2))
        else:
            null = np.full((1, 2), -np.inf)
        return np.concatenate((null, context)).T

    def _find(
        self, opinions: Sequence[Answers], chunk: PairChunk, probabilities: FloatArray
    ) -> None:
        """probabilities: (opinions, 2, answer places)"""
        starts, ends = probabilities[:, 0], probabilities[:, 1]
        nulls, params = (starts[:, 0] * ends[:, 0]).tolist(), self._params
        best = best_spans(
            starts[:, 1:], ends[:, 1:], params.max_answer_tokens, params.spans_per_window
        )
        offsets = chunk.words if params.align_to_words else chunk.content_offsets
        for answers, null, spans in zip(opinions, nulls, best, strict=True):
            answers.add_null(null)
            found = offsets[spans.first, 0], offsets[spans.last, 1], spans.scores
            for start, end, score in zip(*(values.tolist() for values in found), strict=True):
                answers.add(start, end, score)

    def _result(self, answers: Answers, confidence: Confidence = IDENTITY) -> JsonObject:
        """transformers' keys for the best answer, and beside them the best `top_k`."""
        best = [
            {
                "answer": self._inputs.context[answer.start : answer.end],
                "score": confidence.of(answer.score),
                "start": answer.start,
                "end": answer.end,
            }
            for answer in answers.best(self._params.top_k, self._params.null_threshold)
        ]
        return {**best[0], "answers": best}

    def _agreement(self, result: JsonObject, members: Mapping[int, JsonObject]) -> float:
        """Share of the members' weight whose own best answer says what `result` says."""
        says = result["answer"].lower()
        agree = np.array([own["answer"].lower() == says for own in members.values()])
        weights = self._combiner.voting_weight(list(members))
        return float(np.sort(weights * agree).sum() / np.sort(weights).sum())


def _place(result: JsonObject) -> str:
    """Where an answer is, without the answer."""
    return f"{result['start']}–{result['end']}" if result["answer"] else "no answer"


class QuestionAnswering(ScoringTask):
    """Every window of the context is read; only the context is ever cut, never the question."""

    name: ClassVar[str] = "question-answering"
    inputs: ClassVar[type[Inputs]] = QuestionInputs
    params: ClassVar[type[Params]] = QuestionAnsweringParams
    job = QuestionAnsweringJob
    # Votes would not do: every window would have one certain answer, and none of a long context's
    # windows could be told to be better than another.
    strategies: ClassVar[tuple[Strategy, ...]] = ("mean", "logit_mean", "weighted", "gated")

    def signature(self, labels: int) -> Signature:
        return Signature(outputs=("start_logits", "end_logits"), labels=None, per_token=True)

    def sample(self, words: int) -> JsonObject:
        return {"question": "ok", "context": "ok " * words}
