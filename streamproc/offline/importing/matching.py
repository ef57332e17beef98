"""Which of a graph's inputs and outputs is which of those that a worker knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from onnx import TensorProto

from streamproc.errors import ModelRefused, SettingsError
from streamproc.offline.importing.import_options import Prompter
from streamproc.offline.importing.onnx_file import Value

IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"

# Names that exporters and model zoos use; first those of transformers, then KerasHub's and BERT's.
_KNOWN = {
    IDS: ("input_ids", "token_ids", "input_word_ids", "ids", "tokens"),
    MASK: ("attention_mask", "padding_mask", "input_mask", "mask"),
    TYPES: ("token_type_ids", "segment_ids", "input_type_ids", "type_ids"),
}
_NUMBERS = {
    getattr(TensorProto, name)
    for name in ("INT64", "INT32", "INT16", "INT8", "UINT8", "FLOAT", "FLOAT16", "DOUBLE", "BOOL")
}


def pairs_from(written: Iterable[str], flag: str, known: Sequence[str]) -> dict[str, str]:
    """`KNOWN=NAME`, as a flag has it, by what is known; raises SettingsError."""
    found: dict[str, str] = {}
    for pair in written:
        role, equals, name = pair.partition("=")
        if not equals or not name or role not in known or role in found:
            raise SettingsError(
                f"{flag} {pair}: expected WORKER'S=MODEL'S, each once, of {', '.join(known)}"
            )
        found[role] = name
    return found


def match_inputs(
    found: Sequence[Value], said: Mapping[str, str], prompter: Prompter
) -> dict[str, Value]:
    """The graph's inputs by the worker's names; raises ModelRefused, SettingsError."""
    matched = _said(found, said, "input")
    for role, names in _KNOWN.items():
        for value in _others(found, matched):
            if role not in matched and _plain(value.name) in names:
                matched[role] = value
    left = _others(found, matched)
    if IDS not in matched and len(left) == 1:
        # Of a model with one input, or with one that has no known name, it is the text.
        matched[IDS] = left.pop()
    for value in left:
        role = prompter.ask(
            f"What is the model's input {value}: {', '.join(_KNOWN)}?",
            f"--input ROLE={value.name}",
        )
        if role not in _KNOWN or role in matched:
            raise SettingsError(
                f"input {value}: {role!r} is not one of "
                f"{', '.join(known for known in _KNOWN if known not in matched)}; export the model "
                "with these alone"
            )
        matched[role] = value
    if IDS not in matched:
        raise ModelRefused(
            f"none of the model's inputs is its token ids: {', '.join(map(str, found))}"
        )
    for value in matched.values():
        _require_tokens(value)
    return matched


def match_outputs(
    found: Sequence[Value], wanted: Sequence[str], said: Mapping[str, str], prompter: Prompter
) -> dict[str, Value]:
    """The outputs that a task wants by its names for them; raises ModelRefused, SettingsError."""
    matched = _said(found, said, "output")
    for role in wanted:
        if role in matched:
            continue
        named = [value for value in _others(found, matched) if value.name == role]
        # `start_logits` and `end_logits` are told by their first word whatever follows it.
        alike = [v for v in _others(found, matched) if role.split("_")[0] in v.name.lower()]
        only = found if len(found) == len(wanted) == 1 else []
        for choice in (named, alike, only):
            if len(choice) == 1:
                matched[role] = choice[0]
                break
        else:
            listed = ", ".join(map(str, found))
            name = prompter.ask(
                f"Which of the model's outputs is {role}: {listed}?", f"--output {role}=NAME"
            )
            matched.update(_said(found, {role: name}, "output"))
    for value in matched.values():
        if not value.sizes:
            raise ModelRefused(
                f"the model does not say how many dimensions its output has: {value}; export it "
                "with the output's shape, (rows, ...), or name another (--output)"
            )
    return matched


def _said(found: Sequence[Value], said: Mapping[str, str], what: str) -> dict[str, Value]:
    by_name = {value.name: value for value in found}
    for name in said.values():
        if name not in by_name:
            raise SettingsError(
                f"--{what}: the model has no {what} {name!r}; it has {', '.join(map(str, found))}"
            )
    return {role: by_name[name] for role, name in said.items()}


def _others(found: Sequence[Value], matched: Mapping[str, Value]) -> list[Value]:
    taken = {value.name for value in matched.values()}
    return [value for value in found if value.name not in taken]


def _plain(name: str) -> str:
    """A name without what TensorFlow puts around it: `serving_default_input_ids:0`."""
    return name.lower().removeprefix("serving_default_").split(":")[0]


def _require_tokens(value: Value) -> None:
    if value.kind == TensorProto.STRING:
        raise ModelRefused(
            f"the model takes text: {value}; a worker cuts and encodes texts by itself: export "
            "what follows the tokenizer (Keras: the TextVectorization layer), whose input is ids"
        )
    if value.kind not in _NUMBERS or len(value.sizes) != 2:
        raise ModelRefused(f"expected an input of numbers, (rows, tokens); found {value}")
    if value.sizes[0] is not None:
        raise ModelRefused(
            f"the model takes exactly {value.sizes[0]} texts at once: {value}; export it with rows "
            "that may vary (Keras: no batch_size in Input; torch: dynamic_axes)"
        )
