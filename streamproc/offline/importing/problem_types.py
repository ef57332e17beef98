"""What the outputs of a classifier that is imported are: as somebody says, or the model does."""

from __future__ import annotations

from typing import get_args

from streamproc.errors import ModelRefused, SettingsError
from streamproc.offline.importing.checks import require_classes
from streamproc.offline.importing.import_source import ImportSource
from streamproc.serving.tasks.task import Task
from streamproc.types import ProblemType

FLAG = f"--problem-type {'|'.join(get_args(ProblemType))}"
_OF_FUNCTION: dict[str, ProblemType] = {
    "softmax": "single_label_classification",
    "sigmoid": "multi_label_classification",
    "none": "regression",
}


def problem_type_said(source: ImportSource, task: Task) -> ProblemType | None:
    """What flags, the ensemble or config.json say of the head; None: nothing, so the graph has to.

    Asks where there is one output, and nobody says what it is of. Raises ModelRefused,
    SettingsError.
    """
    asked, config = source.options.problem_type, source.config
    if len(task.problem_types) == 1:
        if asked is not None:
            raise SettingsError(f"--problem-type: means nothing for {task.name}")
        if task.labelled:
            require_classes(config, source.options.scores)
        return task.problem_types[0]
    own = asked or _own(source)
    there = source.stored.manifest.problem_type if source.stored else None
    if own is None and there in {"multi_label_classification", "regression"}:
        # Any number of outputs can be these, and nothing says otherwise.
        return there
    if own is None and config.outputs == 1:
        own = asked_of_one_output("config.json has a head of one output", source)
    require_same(own, source)
    return own


def asked_of_one_output(what: str, source: ImportSource) -> ProblemType:
    """What a single output is, which neither its model nor a flag tells.

    what: where it was found; raises SettingsError.
    """
    said = source.prompter.ask(
        f"{what}, which may be a number (regression; transformers trains it as one), the "
        "probability of one label (multi_label_classification; transformers' pipeline shows that "
        "where nothing is said), or what tells two labels apart (single_label_classification, or "
        "--scores logits, that of 0 named first). Which is it?",
        FLAG,
    )
    return _known(said, "--problem-type")


def _own(source: ImportSource) -> ProblemType | None:
    """What config.json says; raises ModelRefused where that is not to be had."""
    model, scale = source.config.model, source.options.scores
    if model.problem_type is not None:
        return _known(model.problem_type, "config.json says problem_type")
    if scale is not None and source.config.outputs == 1:
        return "single_label_classification"
    function = model.function_to_apply
    if function not in {None, "softmax"} and scale is None:
        meant = _OF_FUNCTION.get(str(function))
        raise ModelRefused(
            f"config.json says function_to_apply {function}, which transformers' pipeline passes "
            f"over where there is no problem_type: say what is meant, --problem-type "
            f"{meant or '|'.join(get_args(ProblemType))}"
        )
    return None


def require_same(own: ProblemType | None, source: ImportSource) -> None:
    """Raise ModelRefused where a model is of another kind than the ensemble it is to join."""
    if source.stored is None or own in {None, source.stored.manifest.problem_type}:
        return
    manifest = source.stored.manifest
    raise ModelRefused(
        f"{manifest.name} is an ensemble of {manifest.problem_type}, and the model is one of "
        f"{own}; name another --ensemble, or say --problem-type {manifest.problem_type} if its "
        "outputs are that all the same"
    )


def _known(said: str, where: str) -> ProblemType:
    for known in get_args(ProblemType):
        if said == known:
            return known  # type: ignore[no-any-return]
    raise ModelRefused(
        f"{where} {said!r}, which transformers does not know either: "
        f"of {', '.join(get_args(ProblemType))} models are served"
    )
