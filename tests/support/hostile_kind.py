"""What a record that means harm is, and how it must end."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from tests.support.topics import Headers

Fields = Mapping[str, Any]
"""Those of a good request, without id."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """A record and its outcome; always dead-lettered with its original bytes, key and headers.

    kind:        what is wrong with it
    error:       type of the error
    answered_to: id of the `error` response; "": the request's position; None: no response, as no
                 id could be read
    names:       what the error's detail begins with
    """

    kind: str
    value: bytes | None
    error: Literal["unreadable", "invalid"]
    answered_to: str | None = ""
    headers: Headers = ()
    key: bytes | None = None
    names: str = ""


Make = Callable[[random.Random, str], Hostile]
"""A record of some kind, with junk that is drawn and under the id that it is given."""


def body(**fields: Any) -> bytes:
    """A value of JSON."""
    return orjson.dumps(fields)
