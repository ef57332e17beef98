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
from streamproc.offline.importing.output_kind import TWO_OF_ONE, Scale, output_kind
from streamproc.offline.importing.padding import Padding
from streamproc.offline.importing.tokenizers import padding_token
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.inference.signature import Signature
from streamproc.serving.tasks.task import ScoringTask
from streamproc.serving.verification.batch_invariance import MAX_BATCH_DIFFERENCE
from streamproc.serving.verification.model_report import ModelReport, report_on_model

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
    gap = _interface_gap(model, task.signature(0), source)
    labels = _labels(gap, task, source)
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
    if task.labelled and attempt.found.like_probabilities and options.scores is None:
        attempt = tried(_asked_again(gap, model, source))
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


def _interface_gap(model: Any, wanted: Signature, source: ImportSource) -> InterfaceGap:
    options, prompter = source.options, source.prompter
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
    # Where there are no labels, scores are compared over tokens, and taken as they are.
    return _with_kinds(gap, model, options.scores) if wanted.labels is not None else gap


def _with_kinds(gap: InterfaceGap, model: Any, scale: Scale | None) -> InterfaceGap:
    kinds = {role: output_kind(model, value, scale) for role, value in gap.outputs.items()}
    return replace(gap, output_kinds=kinds)


def _asked_again(gap: InterfaceGap, model: Any, source: ImportSource) -> InterfaceGap:
    scale = source.prompter.ask(
        "The model's scores lie between 0 and 1: are they logits or probabilities?",
        "--scores logits or --scores probabilities",
    )
    if scale == "logits":
        return _with_kinds(gap, model, "logits")
    if scale == "probabilities":
        return _with_kinds(gap, model, "probabilities")
    raise SettingsError(f"--scores {scale!r}: expected logits or probabilities")


def _fixed_length(ids: Value, asked: int | None) -> int | None:
    fixed = ids.sizes[1]
    if fixed is not None and asked not in {None, fixed}:
        raise SettingsError(f"--padded-to {asked}: the model takes exactly {fixed} tokens: {ids}")
    return asked if fixed is None else fixed


def _labels(gap: InterfaceGap, task: ScoringTask, source: ImportSource) -> tuple[str, ...]:
    if not task.labelled:
        return ()
    (role,) = gap.outputs
    if gap.output_kinds[role] == "one logit" and source.options.scores is None:
        raise ModelRefused(
            f"the model has one output, {gap.outputs[role]}, and does not tell whether that is a "
            "number, which is not served yet, or a score that tells two labels apart: of such a "
            "score say --scores logits"
        )
    if source.labels is not None:
        return source.labels
    outputs = 2 if gap.output_kinds[role] in TWO_OF_ONE else gap.outputs[role].sizes[-1]
    return label_outputs(outputs, source)


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
    content = path.read_bytes()
    return content if len(content) >= model.ByteSize() else serialised(model, path)


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
