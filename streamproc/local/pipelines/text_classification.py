"""`text-classification`, also called `sentiment-analysis`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from streamproc.errors import Invalid, SettingsError
from streamproc.local.pipelines.keywords import TAKEN, Keyword, Taken, truncates
from streamproc.local.pipelines.task_pipeline import Bodies, Call, TaskPipeline
from streamproc.local.pipelines.windows import window_of
from streamproc.types import ProblemType

_APPLIED: Final[dict[ProblemType, str]] = {
    "single_label_classification": "softmax",
    "multi_label_classification": "sigmoid",
    "regression": "none",
}


class TextClassificationPipeline(TaskPipeline):
    """A label with its score; with `top_k` a list of them, of all labels where that is None.

    Of a regression the label is the number's name, and the score the number. A text of any length
    is read to its end, in windows; `truncation=True` reads the first alone.
    """

    task: ClassVar[str] = "text-classification"
    keywords: ClassVar[Mapping[str, Keyword]] = {
        "top_k": TAKEN,
        "return_all_scores": TAKEN,
        "function_to_apply": TAKEN,
        "truncation": Taken("truncate", truncates),
        "max_length": TAKEN,
    }

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """The labels of texts.

        inputs: a text, a list of texts, what else iterates over texts, or dicts {"text": ...}
        returns: of a text [{"label", "score"}]; of a dict the same without the list; of a list a
            list of {"label", "score"}; with `top_k` a list of these in place of each
        Raises Invalid, SettingsError, and WorkerFault when the models can't run.
        """
        if not self.is_one(inputs):
            return self._answer_all(inputs, options)
        answer = self._answer_one(inputs, options)
        # As there: a text alone gets a list, unless this very call asks for several labels.
        return [answer] if isinstance(inputs, str) and "top_k" not in options else answer

    def call_of(self, read: dict[str, Any]) -> Call:
        read = dict(read)
        applied, function = _APPLIED[self._manifest.problem_type], read.pop("function_to_apply", "")
        if function and str(function).lower() not in ("default", applied):
            raise SettingsError(
                f"function_to_apply={function!r}: the outputs of {self.ensemble} are "
                f"{self._manifest.problem_type}, to which {applied!r} is applied before members "
                "are combined"
            )
        form: dict[str, Any] = {
            name: read.pop(name) for name in ("top_k", "return_all_scores") if name in read
        }
        if form.get("return_all_scores") is not None:
            warnings.warn(
                "return_all_scores is deprecated in transformers: top_k=None gives all scores",
                UserWarning,
                stacklevel=5,
            )
        longest = read.pop("max_length", None)
        if longest is not None and not read.get("truncate"):
            raise SettingsError(
                f"max_length={longest}: pass truncation=True to read the first so many tokens; "
                "without it a text is read to its end"
            )
        window = window_of(self._manifest, ("max_length", longest), ("", None))
        return Call(read, form, window)

    def bodies(self, one: Any, call: Call) -> Bodies:
        if isinstance(one, Mapping):
            if set(one) != {"text"}:
                raise Invalid(
                    "not a text",
                    f'a dict is {{"text": ...}}; found {sorted(one)}, and text pairs are not taken',
                )
            one = one["text"]
        return [{"text": one}]

    def answer(self, one: Any, results: list[dict[str, Any]], call: Call) -> Any:
        (result,) = results
        scores = self._scores(result)
        label = max(scores, key=scores.__getitem__)
        if "top_k" in call.form and isinstance(call.form["top_k"], int | None):
            best = sorted(scores.items(), key=lambda one: -one[1])
            found = [{"label": label, "score": score} for label, score in best]
            return found if call.form["top_k"] is None else found[: call.form["top_k"]]
        if call.form.get("return_all_scores"):
            # In the order of the labels, as there.
            return [{"label": label, "score": scores[label]} for label in self._manifest.labels]
        return {"label": label, "score": scores[label]}

    def _scores(self, result: dict[str, Any]) -> dict[str, float]:
        """The score of every label; of a regression the number of every name."""
        if "scores" in result:
            return dict(result["scores"])
        if "value" in result:
            return {self._manifest.labels[0]: result["value"]}
        return {name: number["value"] for name, number in result["values"].items()}
