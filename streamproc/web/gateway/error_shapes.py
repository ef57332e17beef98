"""How errors are said to each kind of client: as the client that it was made for reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from streamproc.web.gateway.problems import GatewayProblem, Outcome

_Shape = Callable[[GatewayProblem], dict[str, Any]]


def _hugging_face(problem: GatewayProblem) -> dict[str, Any]:
    """As text-generation-inference has it: its client raises by `error_type`."""
    kinds = {422: "validation", 400: "validation", 503: "overloaded", 429: "overloaded"}
    return {"error": _said(problem), "error_type": kinds.get(problem.status, "generation")}


def _open_ai(problem: GatewayProblem) -> dict[str, Any]:
    return {
        "error": {
            "message": _said(problem),
            "type": problem.name,
            "param": None,
            "code": problem.status,
        }
    }


def _open_inference(problem: GatewayProblem) -> dict[str, Any]:
    return {"error": _said(problem)}


_SHAPES: Final[tuple[tuple[str, _Shape], ...]] = (
    ("/models/", _hugging_face),
    ("/v1/classify", _open_ai),
    ("/v1/completions", _open_ai),
    ("/v1/models", _open_ai),
    ("/v2", _open_inference),
)


def said_to(path: str, problem: GatewayProblem) -> Outcome:
    """A problem as it is said at an address: RFC 9457 where no other client is meant."""
    for prefix, shape in _SHAPES:
        if path.startswith(prefix):
            return Outcome(problem.status, orjson.dumps(shape(problem)), headers=problem.headers)
    return problem.outcome


def _said(problem: GatewayProblem) -> str:
    return f"{problem.title}: {problem.detail}"
