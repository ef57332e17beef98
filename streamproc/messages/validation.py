"""Errors of pydantic in terms of JSON, for people who don't know Python."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from streamproc.did_you_mean import there_are

# Errors quote names from the request; a hostile request must not make its response large.
_MAX_FAULTS: Final = 8
_MAX_CLAUSE_CHARACTERS: Final = 300
_ARRAY: Final = "Input should be an array"
_OBJECT: Final = "Input should be an object"
_IN_JSON: Final = {
    "tuple_type": _ARRAY,
    "list_type": _ARRAY,
    "set_type": _ARRAY,
    "frozen_set_type": _ARRAY,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "mapping_type": _OBJECT,
    "string_type": "Input should be a string",
    "int_type": "Input should be an integer",
    "float_type": "Input should be a number",
    "bool_type": "Input should be true or false",
    "none_required": "Input should be null",
}


def describe(error: ValidationError, within: str = "", model: type[BaseModel] | None = None) -> str:
    """What pydantic found, one clause per fault, with the name of the field but not its value.

    within: the field that the fields are in
    model:  what was validated, whose fields are listed for one that does not exist
    """
    found = error.errors(include_input=False, include_url=False)
    clauses = []
    for fault in found[:_MAX_FAULTS]:
        place = ".".join(map(str, (within, *fault["loc"]) if within else fault["loc"]))
        known = fields_at(model, fault["loc"][:-1]) if model is not None else ()
        clauses.append(f"{place}: {in_json_words(fault, known)}".removeprefix(": "))
    if len(found) > _MAX_FAULTS:
        clauses.append(f"and {len(found) - _MAX_FAULTS} more")
    return "; ".join(clause[:_MAX_CLAUSE_CHARACTERS] for clause in clauses)


def fields_at(model: type[BaseModel], location: Sequence[str | int]) -> Sequence[str]:
    """Fields, as they are written, of the model that lies there inside another; none: no model."""
    for part in location:
        if isinstance(part, str):
            fields = {one.alias or name: one for name, one in model.model_fields.items()}
            field = fields.get(part)
            kinds = (field.annotation, *get_args(field.annotation)) if field else ()
            inner = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
            if not inner:
                return ()
            model = inner[0]
    return tuple(field.alias or name for name, field in model.model_fields.items())


def in_json_words(fault: Any, known: Collection[str] = ()) -> str:
    """The message of one of pydantic's faults, without Python's names for JSON's types.

    known: names of the fields there are where the fault is, told for one that there is not
    """
    kind, message = fault["type"], str(fault["msg"])
    if kind == "extra_forbidden" and known:
        return _unknown(str(fault["loc"][-1]), known)
    if kind in _IN_JSON:
        return _IN_JSON[kind]
    if kind in ("too_long", "too_short"):
        message = re.sub(r"^\w+", "Array", message).replace(" after validation", "")
    if kind == "literal_error":
        message = re.sub(r"\b(True|False)\b", lambda named: named[0].lower(), message)
    return message.removeprefix("Value error, ")


def _unknown(name: str, known: Collection[str]) -> str:
    return f"unknown; {there_are(name, known)}"
