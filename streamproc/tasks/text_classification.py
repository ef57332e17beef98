"""text-classification: one label for a text of any length; sentiment is one such."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from streamproc.chunking.windows import Chunk, windows
from streamproc.ensembling.combine import Strategy, combine, softmax
from streamproc.ensembling.labels import FloatArray
from streamproc.ensembling.measures import agreement, entropy
from streamproc.inference.outputs import MemberOutput
from streamproc.inference.session import Signature
from streamproc.messages.response import Coverage, MemberReport, MemberStatus
from streamproc.tasks.profile import EnsembleProfile
from streamproc.tasks.task import Answer, Inputs, Job, Params, Task, require_quorum, validated

Aggregation = Literal["mean", "max", "vote"]


class TextInputs(Inputs):
    """text: what is classified; it may be empty."""

    text: str


class TextClassificationParams(Params):
    """aggregation: how chunks become one answer; combine: how members do, instead of the
    manifest's way; top_k: how many labels `scores` lists; truncate: only the first window."""

    aggregation: Aggregation = "mean"
    combine: Strategy | None = None
    top_k: Annotated[int, Field(ge=1, le=100_000)] | None = None
    truncate: bool = False


class _Tally:
    """Probabilities of chunks becoming those of the text; all (labels,) float64."""

    def __init__(self, aggregation: Aggregation, labels: int) -> None:
        self._aggregation = aggregation
        self._sum = np.zeros(labels)
        self._tie_break = np.zeros(labels)

    def add(self, probabilities: FloatArray, tokens: int) -> None:
        known = np.nan_to_num(probabilities, nan=0.0)
        if self._aggregation == "mean":
            self._sum += known * tokens
        elif self._aggregation == "max":
            self._sum = np.maximum(self._sum, known)
        else:
            self._sum[int(np.argmax(known))] += 1.0
            self._tie_break += known * 1e-6

    def probabilities(self) -> FloatArray:
        total = self._sum + self._tie_break
        return np.asarray(total / total.sum())


class TextClassificationJob(Job):
    """A text being classified: its windows' probabilities, weighted by their tokens."""

    def __init__(
        self, text: str, params: TextClassificationParams, profile: EnsembleProfile
    ) -> None:
        self.characters = len(text)
        self._text = text
        self._params = params
        self._profile = profile
        self._strategy: Strategy = params.combine or profile.strategy
        self._weights = np.array([member.weight for member in profile.members])
        self._combined = self._tally()
        self._members = [self._tally() for _ in profile.members]
        self._status: list[MemberStatus] = ["ok"] * len(profile.members)
        self._answered = [False] * len(profile.members)
        self._chunks = 0
        self._covered_to = 0

    def chunks(self) -> Iterator[Chunk]:
        tokenizer = self._profile.tokenizer
        made = windows(
            tokenizer.stream(self._text), tokenizer.frame, self._profile.window, self.characters
        )
        return islice(made, 1) if self._params.truncate else made

    def add(self, chunk: Chunk, outputs: Sequence[MemberOutput]) -> None:
        require_quorum(outputs, self._profile.needed_members)
        tokens = max(1, chunk.content_tokens)
        placed, weights = [], []
        for index, (member, output) in enumerate(zip(self._profile.members, outputs, strict=True)):
            if output.scores is None:
                self._status[index] = output.status
                continue
            logits = member.labels.place(output.scores)
            placed.append(logits)
            weights.append(member.weight)
            self._answered[index] = True
            self._members[index].add(softmax(logits), tokens)
        self._combined.add(combine(self._strategy, np.stack(placed), np.array(weights)), tokens)
        self._chunks += 1
        self._covered_to = chunk.end

    def answer(self) -> Answer:
        probabilities = self._combined.probabilities()
        answered = [index for index, said in enumerate(self._answered) if said]
        by_member = {index: self._members[index].probabilities() for index in answered}
        weights = self._weights if self._strategy == "weighted" else np.ones_like(self._weights)
        return Answer(
            result=self._result(probabilities),
            members=tuple(
                MemberReport(
                    member.name,
                    member.version,
                    self._status[index],
                    self._result(by_member[index])
                    if self._params.return_members and index in by_member
                    else None,
                )
                for index, member in enumerate(self._profile.members)
            ),
            agreement=agreement(
                np.stack(list(by_member.values())),
                weights[answered],
                int(np.argmax(probabilities)),
            ),
            entropy=entropy(probabilities),
            coverage=Coverage(
                chunks=self._chunks,
                characters=self.characters,
                characters_covered=self._covered_to,
                truncated=self._covered_to < self.characters,
            ),
        )

    def _tally(self) -> _Tally:
        return _Tally(self._params.aggregation, len(self._profile.labels))

    def _result(self, probabilities: FloatArray) -> dict[str, Any]:
        """transformers' keys, and beside them every label's probability, likeliest first."""
        order = np.argsort(-probabilities, kind="stable")
        labels = self._profile.labels
        return {
            "label": labels[order[0]],
            "score": float(probabilities[order[0]]),
            "scores": {
                labels[index]: float(probabilities[index]) for index in order[: self._params.top_k]
            },
        }


class TextClassification(Task):
    """Every window of the text is scored; nothing is cut off unless `truncate` asks for it."""

    name: ClassVar[str] = "text-classification"
    inputs: ClassVar[type[Inputs]] = TextInputs
    params: ClassVar[type[Params]] = TextClassificationParams

    def signature(self, outputs: int) -> Signature:
        return Signature(
            required=("input_ids", "attention_mask"),
            optional=("token_type_ids",),
            output="logits",
            outputs=outputs,
            axes=2,
        )

    def begin(
        self, inputs: Mapping[str, Any], params: Mapping[str, Any], profile: EnsembleProfile
    ) -> TextClassificationJob:
        return TextClassificationJob(
            validated(TextInputs, inputs).text,
            validated(TextClassificationParams, params, "params"),
            profile,
        )
