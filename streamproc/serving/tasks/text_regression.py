"""text-classification whose members give numbers, such as stars or a similarity: a regression."""

from __future__ import annotations

import numpy as np

from streamproc.errors import Invalid
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.ensembling.measures import spreads
from streamproc.serving.tasks.classification_params import TextClassificationParams
from streamproc.serving.tasks.combiner import Opinions
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.labelled_text import LabelledTextJob
from streamproc.serving.tasks.separate_tally import SeparateTally
from streamproc.serving.tasks.task import Answer, TextInputs
from streamproc.types import FloatArray, JsonObject


class RegressionJob(LabelledTextJob):
    """A text being given numbers: the mean of its windows', weighted by their tokens."""

    def __init__(
        self, inputs: TextInputs, params: TextClassificationParams, profile: EnsembleSpec
    ) -> None:
        super().__init__(inputs.text, profile, params.combine, truncate=params.truncate)
        _refuse_what_is_of_labels(params, profile)
        self._params = params
        # Each member's opinion, and last the combined one.
        self._together = len(profile.members)
        self._tally = SeparateTally(
            params.aggregation or "mean", self._together + 1, len(profile.labels)
        )

    def add_opinions(self, chunk: Chunk, opinions: Opinions) -> None:
        self._tally.add(
            [*opinions.answered, self._together],
            np.concatenate((opinions.scores, opinions.combined[None])),
            max(1, chunk.content_tokens),
        )

    def answer(self) -> Answer:
        answered = self._accumulator.answered
        *members, values = self._tally.scores([*answered, self._together])
        by_member = dict(zip(answered, members, strict=True))
        own = (
            (lambda index: self._result(by_member[index])) if self._params.return_members else None
        )
        weights = self._combiner.voting_weight(answered)
        return Answer(
            result=self._result(values, spreads(np.stack(members), weights)),
            members=self._accumulator.members(own),
            agreement=None,
            entropy=None,
            coverage=self._accumulator.coverage(),
        )

    def _result(self, values: FloatArray, spread: FloatArray | None = None) -> JsonObject:
        """One number, or one for each name; spread: (outputs,), None of a member's own."""
        numbers: list[JsonObject] = [{"value": float(value)} for value in values]
        if spread is not None:
            for number, apart in zip(numbers, spread, strict=True):
                number["spread"] = float(apart)
        if len(numbers) == 1:
            return numbers[0]
        return {"values": dict(zip(self._profile.labels, numbers, strict=True))}


def _refuse_what_is_of_labels(params: TextClassificationParams, profile: EnsembleSpec) -> None:
    asked: dict[str, object] = {"top_k": params.top_k, "threshold": params.threshold}
    if params.aggregation == "vote":
        asked["aggregation"] = params.aggregation
    for name, value in asked.items():
        if value is not None:
            raise Invalid(
                "invalid request",
                f"params.{name}: {value}, but ensemble {profile.name} gives numbers, not labels",
            )
