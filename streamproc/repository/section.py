"""What every section of a manifest has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from streamproc.messages.validation import in_json_words

MEMBER_VERSION = r"^[A-Za-z0-9._-]{1,64}$"


class Section(BaseModel):
    """Values as they are written, none of them unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def describe_faults(error: ValidationError, section: type[Section]) -> str:
    """What is wrong with the values of a section, a clause a fault, each naming its key."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'manifest'}: "
        + in_json_words(fault, _keys(section, fault["loc"][:-1]))
        for fault in error.errors(include_url=False)
    )


def _keys(section: type[Section], location: Sequence[str | int]) -> Sequence[str]:
    """Keys of the section that lies there inside another; none where no section does."""
    for part in location:
        if isinstance(part, str):
            field = section.model_fields.get(part)
            kinds = (field.annotation, *get_args(field.annotation)) if field else ()
            inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]
            if not inner:
                return ()
            section = inner[0]
    return tuple(section.model_fields)
