"""Whether what a model's head gives is one label of several, as a softmax tells it."""

from __future__ import annotations

from streamproc.errors import ModelRefused
from streamproc.offline.importing.configuration import Configuration
from streamproc.offline.importing.output_kind import Scale

_CLASSES = "single_label_classification"


def require_classes(configuration: Configuration, scale: Scale | None) -> None:
    """Raise ModelRefused where config.json tells of a head of another kind.

    scale: what somebody said that the scores are
    """
    kind = configuration.problem_type
    if kind == "multi_label_classification":
        raise ModelRefused(
            "config.json says multi_label_classification: its labels do not exclude each other, "
            "and a text has one label here"
        )
    if kind == "regression":
        raise ModelRefused(
            "config.json says problem_type regression: the head gives numbers, not the scores of "
            "labels, and numbers are not served yet"
        )
    if kind not in {None, _CLASSES}:
        raise ModelRefused(
            f"config.json says problem_type {kind!r}, which transformers does not know either: "
            f"of {_CLASSES} models are served"
        )
    if configuration.outputs == 1 and scale is None:
        raise ModelRefused(
            "config.json has a head of one output, which transformers trains as a regression, and "
            "numbers are not served yet; where it was trained to tell two labels, say what the "
            "output is (--scores logits) and name them, that of 0 first (--label NAME twice)"
        )
    function = configuration.score_function
    if function not in {None, "softmax"} and scale is None:
        raise ModelRefused(
            f"config.json says function_to_apply {function}, where scores are a softmax here: its "
            "pipeline's scores would not be had; where a softmax is meant, say --scores logits"
        )
