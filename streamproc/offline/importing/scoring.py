"""A model that scores texts, as a worker runs it: adapted, labelled, tried out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streamproc.errors import ModelRefused, SettingsError
from streamproc.offline.importing.adapting import adapt_graph
from streamproc.offline.importing.checks import require_window
from streamproc.offline.importing.import_source import AdaptedModel, ImportSource
from streamproc.offline.importing.interface_gap import InterfaceGap
from streamproc.offline.importing.label_mapping import label_outputs
from streamproc.offline.importing.matching import IDS, MASK, match_inputs, match_outputs, pairs_from
from streamproc.offline.importing.onnx_file import (
    Value,
    inputs_of,
    outputs_of,
    precision_of,
    producer_of,
    read_graph,
    serialised,
)
from streamproc.offline.importing.output_kind import (
    TWO_OF_ONE,
    Scale,
    is_one_output,
    last_operator,
    output_kind,
)
from streamproc.offline.importing.padding import Padding
from streamproc.offline.importing.problem_types import asked_of_one_output, require_same
from streamproc.offline.importing.tokenizers import padding_token
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.tasks.task import ScoringTask
from streamproc.serving.verification.batch_invariance import MAX_BATCH_DIFFERENCE
from streamproc.serving.verification.model_report import ModelReport, report_on_model
from streamproc.types import ProblemType

_WINDOW_TOKENS = 256
# Tokens: what a vector of any CPU holds of float32 is a part of it.
_ROUND = 16


def prepare_scoring(source: ImportSource, task: ScoringTask) -> AdaptedModel:
    """The graph as a member of that task; asks for what it does not tell.

    Raises ModelRefused, SettingsError.
    """
    path, options = source.files.model, source.options
    assert path is not None  # noqa: S101  # what was no ONNX has been exported
    model = read_graph(path)
    gap, problem_type = _interface_gap(model, task, source)
    labels = _labels(gap, problem_type, source) if task.labelled else ()
    window = _window(gap.padding, source)

    def tried(gap: InterfaceGap) -> _Attempt:
        content = _content(path, model, gap)
        found = report_on_model(
            source.member,
            content,
            task.signature(len(labels)),
            TextTokenizer(source.tokenizer),
            window_tokens=window,
            padding_token=gap.padding.token,
        )
        return _Attempt(gap, content, found)

    attempt = tried(gap)
    if task.labelled and options.scores is None and _like_probabilities(attempt, problem_type):
        attempt = tried(_asked_again(gap, model, problem_type, source))
    _require_invariance(attempt)
    warnings = []
    if attempt.found.batch_difference:
        attempt, said = _to_the_bit(attempt, tried, window)
        warnings += said
    if not attempt.found.answers_nothing:
        warnings.append("a text without a single token gets an error: the model has no scores")
    return AdaptedModel(
        model=attempt.content,
        producer=producer_of(model),
        precision=precision_of(model),
        window_tokens=window,
        overlap_tokens=window // 8 if options.overlap is None else options.overlap,
        labels=labels,
        problem_type=problem_type,
        changes=attempt.gap.differences,
        warnings=warnings,
        batch_difference=attempt.found.batch_difference,
    )


@dataclass(frozen=True, slots=True)
class _Attempt:
    gap: InterfaceGap
    content: bytes
    found: ModelReport


def _to_the_bit(
    attempt: _Attempt, tried: Callable[[InterfaceGap], _Attempt], window: int
) -> tuple[_Attempt, list[str]]:
    """What gives a text the same scores to the bit in every batch, if that costs little.

    Measured with ONNX Runtime: products of a single row are added up in another order than those
    of several, and the end of a sum that no vector is filled by in another than its beginning.
    """
    padding = attempt.gap.padding
    round_lengths = replace(padding, multiple=1 if padding.length else _ROUND)
    same = replace(attempt.gap, duplicate_single_row=True, padding=round_lengths)
    if exact := _exact(same, tried):
        return exact, []
    said = (
        "a text's scores are not equal to the bit in every batch, but within "
        f"{attempt.found.batch_difference:.1g}"
    )
    at_length = replace(same, padding=replace(padding, length=window))
    if padding.length is None and _exact(at_length, tried):
        said += f"; with --padded-to {window} they are, and every text costs as much as a long one"
    return attempt, [said]


def _exact(gap: InterfaceGap, tried: Callable[[InterfaceGap], _Attempt]) -> _Attempt | None:
    try:
        attempt = tried(gap)
    except ModelRefused:  # as where lengths that are rounded up have no positions
        return None
    return None if attempt.found.batch_difference else attempt


def _interface_gap(
    model: Any, task: ScoringTask, source: ImportSource
) -> tuple[InterfaceGap, ProblemType]:
    """How the graph differs from what a worker runs, and what its outputs are."""
    options, prompter, wanted = source.options, source.prompter, task.signature(0)
    said = pairs_from(options.inputs, "--input", (*wanted.required, *wanted.optional))
    inputs = match_inputs(inputs_of(model), said, prompter)
    said = pairs_from(options.outputs, "--output", wanted.outputs)
    outputs = match_outputs(outputs_of(model), wanted.outputs, said, prompter)
    length = _fixed_length(inputs[IDS], options.padded_to)
    if options.pad_side == "left" and (length is None or wanted.per_token):
        raise SettingsError(
            "--pad-side left: for texts that are padded to a length (--padded-to), and get one "
            "answer each"
        )
    token = padding_token(source.tokenizer, options.pad_token)
    # Who names the token knows that the model looks for it.
    padding = Padding(token, length, options.pad_side, by_id=options.pad_token is not None)
    gap = InterfaceGap(inputs, outputs, {}, padding)
    problem_type = source.problem_type or _problem_type_of_graph(model, gap, source)
    require_same(problem_type, source)
    # Where there are no labels, scores are compared over tokens, and taken as they are.
    if wanted.labels is None:
        return gap, problem_type
    return _with_kinds(gap, model, options.scores, problem_type), problem_type


def _problem_type_of_graph(model: Any, gap: InterfaceGap, source: ImportSource) -> ProblemType:
    """What nobody said: a sigmoid for each of several labels tells, one plain output does not."""
    (value,) = gap.outputs.values()
    operator, one = last_operator(model, value), is_one_output(value)
    if source.options.scores is None and operator == "Sigmoid" and not one:
        return "multi_label_classification"
    if source.options.scores is None and operator != "Sigmoid" and one:
        return asked_of_one_output(f"the model has one output, {value}", source)
    return "single_label_classification"


def _with_kinds(
    gap: InterfaceGap, model: Any, scale: Scale | None, problem_type: ProblemType
) -> InterfaceGap:
    kinds = {
        role: output_kind(model, value, scale, problem_type) for role, value in gap.outputs.items()
    }
    return replace(gap, output_kinds=kinds)


def _like_probabilities(attempt: _Attempt, problem_type: ProblemType) -> bool:
    """Whether what should be logits looks like probabilities; numbers may look like anything."""
    if problem_type == "multi_label_classification":
        return attempt.found.within_unit
    return problem_type != "regression" and attempt.found.like_probabilities


def _asked_again(
    gap: InterfaceGap, model: Any, problem_type: ProblemType, source: ImportSource
) -> InterfaceGap:
    scale = source.prompter.ask(
        "The model's scores lie between 0 and 1: are they logits or probabilities?",
        "--scores logits or --scores probabilities",
    )
    if scale == "logits":
        return _with_kinds(gap, model, "logits", problem_type)
    if scale == "probabilities":
        return _with_kinds(gap, model, "probabilities", problem_type)
    raise SettingsError(f"--scores {scale!r}: expected logits or probabilities")


def _fixed_length(ids: Value, asked: int | None) -> int | None:
    fixed = ids.sizes[1]
    if fixed is not None and asked not in {None, fixed}:
        raise SettingsError(f"--padded-to {asked}: the model takes exactly {fixed} tokens: {ids}")
    return asked if fixed is None else fixed


def _labels(gap: InterfaceGap, problem_type: ProblemType, source: ImportSource) -> tuple[str, ...]:
    ((role, value),) = gap.outputs.items()
    if source.labels is not None:
        return source.labels
    outputs = 1 if is_one_output(value) else value.sizes[-1]
    if gap.output_kinds[role] in TWO_OF_ONE:
        outputs = 2
    return label_outputs(outputs, problem_type, source)


def _window(padding: Padding, source: ImportSource) -> int:
    """How long the texts are that the model is tried out with, and given later."""
    most = padding.length or source.config.positions
    require_window(source, most)
    if source.stored:
        return source.stored.manifest.window.max_tokens
    return source.options.window or padding.length or min(most or _WINDOW_TOKENS, _WINDOW_TOKENS)


def _content(path: Path, model: Any, gap: InterfaceGap) -> bytes:
    if gap.differences:
        return serialised(adapt_graph(model, gap), path)
    # To the bit as it was, but for weights that lay beside the file, and belong into it.
    content, whole = path.read_bytes(), serialised(model, path)
    return content if len(content) >= len(whole) else whole


def _require_invariance(attempt: _Attempt) -> None:
    difference, gap = attempt.found.batch_difference, attempt.gap
    if difference <= MAX_BATCH_DIFFERENCE * max(1.0, attempt.found.largest_score):
        return
    why = "Dynamic quantisation does that: quantise statically, or take fp32."
    if gap.padding.length is None:
        maskless = "" if MASK in gap.inputs else "; it takes no attention_mask"
        why = (
            f"Its answer hangs on the padding behind a text (of id {gap.padding.token}{maskless})"
            ". If all texts were padded to one length as it was trained, say --padded-to LENGTH; "
            "if its padding has another id, --pad-token ID; else export it with a mask (Keras: "
            f"Embedding(mask_zero=True), torch: attention_mask). {why}"
        )
    raise ModelRefused(
        f"the model gives the same text other scores in another batch, by {difference:.2g}. {why}"
    )
