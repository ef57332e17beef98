"""Fields of a request that nobody reads, though they look as if they were meant to be read.

What a request has beside its fields is its sender's business, and is passed over; but a field that
is nearly one of ours, or a parameter outside of `params`, is a mistake, and the response says so.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Final

from streamproc.did_you_mean import closest
from streamproc.messages.request import Request, RequestFields

# A hostile request must not make its answer large, or its reading slow, by what it has too much.
_MAX_LOOKED_AT: Final = 16


def warnings_about(
    request: Request, fields: Collection[str], params: Collection[str]
) -> tuple[str, ...]:
    """A sentence for each field that was passed over and looks like a mistake.

    fields, params: what the request's task knows of both
    """
    if all(name in fields for name in request.inputs):
        return ()
    # One that is there is not what another was meant to be.
    known = {*RequestFields.model_fields, *fields}
    lacking = sorted(known.difference(request.given))
    looked_at = islice((name for name in request.inputs if name not in fields), _MAX_LOOKED_AT)
    warned = (_warning(name, lacking, params) for name in looked_at)
    return tuple(warning for warning in warned if warning is not None)


def _warning(name: str, lacking: Collection[str], params: Collection[str]) -> str | None:
    if name in params:
        return f"field {name!r} was ignored: it is a parameter, and belongs into 'params'"
    meant = closest(name, lacking)
    if meant is None:
        return None
    return f"field {name!r} is unknown and was ignored; did you mean {meant!r}?"
