"""What every section of a manifest has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from streamproc.logs.printable import printable
from streamproc.messages.validation import fields_at, in_json_words

MEMBER_VERSION = r"^[A-Za-z0-9._-]{1,64}$"


class Section(BaseModel):
    """Values as they are written, none of them unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def describe_faults(error: ValidationError, section: type[Section]) -> str:
    """What is wrong with the values of a section, a clause a fault, each naming its key."""
    return "; ".join(
        f"{printable('.'.join(map(str, fault['loc']))) or 'manifest'}: "
        + in_json_words(fault, fields_at(section, fault["loc"][:-1]))
        for fault in error.errors(include_url=False)
    )
