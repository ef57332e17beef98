"""text-classification whose members give numbers, such as stars or a similarity: a regression."""

from __future__ import annotations

from streamproc.errors import Invalid
from streamproc.serving.ensembling.measures import spreads
from streamproc.serving.tasks.classification_params import TextClassificationParams
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.separate_tally import SeparateTally
from streamproc.serving.tasks.tallied_text import Conclusion, TalliedTextJob
from streamproc.serving.tasks.task import TextInputs
from streamproc.types import FloatArray, JsonObject


class RegressionJob(TalliedTextJob):
    """A text being given numbers: the mean of its windows', weighted by their tokens."""

    def __init__(
        self, inputs: TextInputs, params: TextClassificationParams, spec: EnsembleSpec
    ) -> None:
        _refuse_what_is_of_labels(params, spec)
        super().__init__(inputs, params, spec)

    def tally(self, opinions: int, outputs: int) -> SeparateTally:
        return SeparateTally(self._params.aggregation or "mean", opinions, outputs)

    def result(self, scores: FloatArray) -> JsonObject:
        return self._numbers([{"value": float(value)} for value in scores])

    def conclude(self, scores: FloatArray, members: FloatArray, weights: FloatArray) -> Conclusion:
        spread = spreads(members, weights)
        numbers: list[JsonObject] = [
            {"value": float(value), "spread": float(apart)}
            for value, apart in zip(scores, spread, strict=True)
        ]
        return Conclusion(self._numbers(numbers), agreement=None, entropy=None)

    def _numbers(self, numbers: list[JsonObject]) -> JsonObject:
        """One number, or one for each name."""
        if len(numbers) == 1:
            return numbers[0]
        return {"values": dict(zip(self._spec.labels, numbers, strict=True))}


def _refuse_what_is_of_labels(params: TextClassificationParams, spec: EnsembleSpec) -> None:
    asked: dict[str, object] = {"top_k": params.top_k, "threshold": params.threshold}
    if params.aggregation == "vote":
        asked["aggregation"] = params.aggregation
    for name, value in asked.items():
        if value is not None:
            raise Invalid(
                "invalid request",
                f"params.{name}: {value}, but ensemble {spec.name} gives numbers, not labels",
            )
