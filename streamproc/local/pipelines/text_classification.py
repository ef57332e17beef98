"""`text-classification`, also called `sentiment-analysis`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from streamproc.errors import Invalid, SettingsError
from streamproc.local.pipelines.keywords import TAKEN, Keyword, Only, Taken, truncates
from streamproc.local.pipelines.task_pipeline import Bodies, Call, TaskPipeline
from streamproc.local.pipelines.windows import window_of


class TextClassificationPipeline(TaskPipeline):
    """A label with its score; with `top_k` a list of them, of all labels where that is None.

    A text of any length is read to its end, in windows; `truncation=True` reads the first alone.
    """

    task: ClassVar[str] = "text-classification"
    keywords: ClassVar[Mapping[str, Keyword]] = {
        "top_k": TAKEN,
        "return_all_scores": TAKEN,
        "function_to_apply": Only(
            (None, "default", "softmax", "SOFTMAX"),
            "scores are the probabilities that the members combine to, or numbers, as problem_type "
            "of the manifest says",
        ),
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
        if "label" not in result:
            result = _as_labels(result, self._manifest.labels)
        scores: dict[str, float] = result["scores"]
        if "top_k" in call.form and isinstance(call.form["top_k"], int | None):
            found = [{"label": label, "score": score} for label, score in scores.items()]
            return found if call.form["top_k"] is None else found[: call.form["top_k"]]
        if call.form.get("return_all_scores"):
            # In the order of the labels, as there.
            return [{"label": label, "score": scores[label]} for label in self._manifest.labels]
        return {"label": result["label"], "score": result["score"]}


def _as_labels(result: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Numbers of a regression, each as the score of its name, the largest first, as there."""
    values = result.get("values", {labels[0]: result})
    numbers = {name: one["value"] for name, one in values.items()}
    scores = {name: numbers[name] for name in sorted(numbers, key=lambda name: -numbers[name])}
    label = next(iter(scores))
    return {"label": label, "score": scores[label], "scores": scores}
