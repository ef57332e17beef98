"""The evaluation task for an ensemble, and the labelled data that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from streamproc.errors import EvaluationError, OperatorError
from streamproc.offline.corpus.names import names_from
from streamproc.offline.corpus.questions import read_questions
from streamproc.offline.corpus.records import Columns
from streamproc.offline.corpus.rows import Source
from streamproc.offline.corpus.tagged import OUTSIDE, read_named
from streamproc.offline.corpus.translation_pairs import read_pairs
from streamproc.offline.evaluation.answer_eval import AnswerEval
from streamproc.offline.evaluation.eval_task import EvalTask, subsample_evenly
from streamproc.offline.evaluation.label_eval import LabelEval, read_labelled
from streamproc.offline.evaluation.number_eval import NumberEval, read_numbers
from streamproc.offline.evaluation.several_labels_eval import (
    SeveralLabelsEval,
    read_several_labels,
)
from streamproc.offline.evaluation.systems import System
from streamproc.repository.manifest import Manifest

T = TypeVar("T")
_RecordsAndTask = tuple[Sequence[Any], Callable[[Sequence[Any]], EvalTask]]
"""All records, and what makes an evaluation task of some of them."""


@dataclass(frozen=True, slots=True)
class Data:
    """Labelled files, and how they are to be read.

    names: SPELLING=NAME, as `streamproc train` takes them
    """

    sources: Sequence[Source]
    names: Sequence[str] = ()
    columns: Columns = field(default_factory=Columns)

    def records(self, read: Callable[[Source], Iterable[T]]) -> Sequence[T]:
        """Those of all files; raises EvaluationError when there are none."""
        found = [record for source in self.sources for record in read(source)]
        if not found:
            files = ", ".join(str(source.path) for source in self.sources)
            raise EvaluationError(f"{files}: no records to measure by.")
        return found


def eval_task_for(manifest: Manifest, data: Data, limit: int | None = None) -> tuple[EvalTask, int]:
    """The evaluation task of at most `limit` records, spread over all; and how many there are.

    Raises EvaluationError for a task without one, OperatorError naming an extra that lacks.
    """
    if manifest.task not in _TASKS:
        raise EvaluationError(
            f"{manifest.task} can't be evaluated; what can: {', '.join(_TASKS)}, text-generation."
        )
    try:
        records, make = _TASKS[manifest.task](manifest, data)
    except ModuleNotFoundError as missing:
        raise OperatorError(
            f"Evaluating {manifest.task} needs {missing.name}, which is not installed: install "
            "streamproc[evaluate]."
        ) from missing
    return make(subsample_evenly(records, limit)), len(records)


def require_labels(eval_task: EvalTask, systems: Iterable[System]) -> None:
    """Raise EvaluationError when another ensemble does not know a label of the records.

    It could never be right there, most likely because it calls the same thing by another name.
    """
    for one in systems:
        manifest = one.stored.manifest
        known = set(manifest.labels)
        if manifest.task == "token-classification":
            known = {label.removeprefix("B-").removeprefix("I-") for label in known}
        if one.role == "other" and (unknown := sorted(eval_task.labels - known)):
            raise EvaluationError(
                f"{one.name} knows no label {', '.join(unknown)}, which the data has; its own are "
                f"{', '.join(sorted(known))}. Ensembles are measured beside each other by the same "
                "labels; measure this one alone, with its own --label SPELLING=NAME."
            )


def _text_classification(manifest: Manifest, data: Data) -> _RecordsAndTask:
    if manifest.problem_type == "regression":
        return _regression(manifest, data)
    names = names_from(data.names)
    if manifest.problem_type == "multi_label_classification":
        several = data.records(
            lambda source: read_several_labels(source, data.columns, names, manifest.labels)
        )
        return several, lambda some: SeveralLabelsEval(some, manifest.labels)
    records = data.records(
        lambda source: read_labelled(source, data.columns, names, manifest.labels)
    )
    return records, lambda some: LabelEval(some, manifest.labels)


def _regression(manifest: Manifest, data: Data) -> _RecordsAndTask:
    if len(manifest.labels) > 1:
        raise EvaluationError(
            f"{manifest.name} gives {len(manifest.labels)} numbers ({', '.join(manifest.labels)}); "
            "a regression of one can be evaluated."
        )
    if data.names:
        raise EvaluationError(f"--label: {manifest.name} gives numbers, which have no names.")
    return data.records(lambda source: read_numbers(source, data.columns)), NumberEval


def _token_classification(manifest: Manifest, data: Data) -> _RecordsAndTask:
    from streamproc.offline.evaluation.entity_eval import EntityEval  # noqa: PLC0415

    kinds = {label[2:]: label[2:] for label in manifest.labels if label[:2] in {"B-", "I-"}}
    names = kinds | names_from(data.names)
    if unknown := sorted(set(names.values()) - {OUTSIDE, *kinds}):
        raise EvaluationError(
            f"--label: {', '.join(unknown)} is no entity of {manifest.name}, whose entities are "
            f"{', '.join(kinds)}; call {OUTSIDE} what is to be none."
        )
    return data.records(lambda source: read_named(source, names)), EntityEval


def _question_answering(_: Manifest, data: Data) -> _RecordsAndTask:
    return data.records(read_questions), AnswerEval


def _translation(_: Manifest, data: Data) -> _RecordsAndTask:
    from streamproc.offline.evaluation.translation_eval import TranslationEval, by_source  # noqa: PLC0415

    return by_source(data.records(read_pairs)), TranslationEval


_TASKS: Mapping[str, Callable[[Manifest, Data], _RecordsAndTask]] = {
    "text-classification": _text_classification,
    "token-classification": _token_classification,
    "question-answering": _question_answering,
    "translation": _translation,
}
