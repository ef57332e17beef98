"""A request's JSON text, made to ask for its answer in parts."""

from __future__ import annotations

from streamproc.messages.json_spans import member_span, with_members, with_span
from streamproc.messages.strict_json import parse


def with_parts(value: bytes) -> bytes:
    """A request that asks for its text in parts; params that are no object are left to a worker.

    value: a JSON object, or a structured CloudEvent with the request in its `data`
    """
    within = ("data",) if "specversion" in parse(value) else ()
    params = member_span(value, *within, "params")
    if params is not None and value[params].startswith(b"{"):
        return with_span(value, params, with_members(value[params], {"stream": b"true"}))
    if params is not None and value[params] != b"null":
        return value
    request = member_span(value, *within)
    if request is None or not value[request].startswith(b"{"):
        return value
    asked = with_members(value[request], {"params": b'{"stream":true}'})
    return with_span(value, request, asked)
