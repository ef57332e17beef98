"""A request's fields, and their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from streamproc.errors import RequestRefused

Asked = str | Mapping[str, Any]
"""A text; or the fields of a request (docs/messages.md), such as `text`, `params`, `ensemble`."""


def body_of(request: Asked, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a request with further params; raises RequestRefused where it has none."""
    body: object = {"text": request} if isinstance(request, str) else request
    if not isinstance(body, Mapping):
        raise _refused(f"it is a text, or a mapping of fields; found {type(body).__name__}")
    own = body.get("params")
    if not params:
        return body
    if not isinstance(own, Mapping | None):
        raise _refused(f"params: a mapping of names to values; found {type(own).__name__}")
    return {**body, "params": {**(own or {}), **params}}


def json_of(body: Mapping[str, Any]) -> bytes:
    """The bytes of a request; raises RequestRefused where it can't be written as JSON."""
    try:
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise _refused(f"it can't be written as JSON: {error}") from None


def _refused(why: str) -> RequestRefused:
    return RequestRefused("invalid", "invalid request", why)
