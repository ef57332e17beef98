"""What a request that is answered has in it that looks like a mistake.

Unknown fields belong to the sender and are ignored. But one that has nearly the name of a known
field, or a parameter outside of `params`, is probably a mistake, and the response has a warning. So
is a text without a word: a model answers it too, and the answer looks like any other.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Final

from streamproc.did_you_mean import closest
from streamproc.messages.reply_address import REPLY_TOPIC
from streamproc.messages.request import REQUEST_FIELDS, Request

# A hostile request must not make its response large, or its reading slow, with unknown fields.
_MAX_CHECKED: Final = 16
_NOWHERE: Final = (
    "params.stream was ignored: parts of an answer go only to a topic of the sender's own, which "
    f"the header {REPLY_TOPIC} names"
)


def warnings_about(
    request: Request,
    fields: Collection[str],
    params: Collection[str],
    *,
    are_parts_taken: bool = True,
) -> tuple[str, ...]:
    """A sentence for each field that looks like a mistake.

    fields, params: the names of those of the task
    are_parts_taken: whether parts of the answer have a topic to go to
    """
    warnings = _warnings_about_fields(request, fields, params)
    if request.params.get("stream") is True and "stream" in params and not are_parts_taken:
        warnings += (_NOWHERE,)
    return warnings


def _warnings_about_fields(
    request: Request, fields: Collection[str], params: Collection[str]
) -> tuple[str, ...]:
    blank = tuple(
        f"field {name!r} is blank"
        for name in fields
        if isinstance(text := request.inputs.get(name), str) and (not text or text.isspace())
    )
    if all(name in fields for name in request.inputs):
        return blank
    # A misspelt field is meant to be one that is missing.
    known = {*REQUEST_FIELDS, *fields}
    lacking = sorted(known.difference(request.given))
    checked = islice((name for name in request.inputs if name not in fields), _MAX_CHECKED)
    warned = (_warning(name, lacking, params) for name in checked)
    return blank + tuple(warning for warning in warned if warning is not None)


def _warning(name: str, lacking: Collection[str], params: Collection[str]) -> str | None:
    if name in params:
        return f"field {name!r} was ignored: it is a parameter, and belongs in 'params'"
    meant = closest(name, lacking)
    if meant is None:
        return None
    return f"field {name!r} is unknown and was ignored; did you mean {meant!r}?"
