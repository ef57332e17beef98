"""Parameters of another API as params of ours: what has another name, and what can't be had."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from streamproc.web.gateway.problems import GatewayProblem


@dataclass(frozen=True, slots=True)
class Parameters:
    """How one API's parameters are read; those it does not name go on to the worker as they are.

    renamed: ours by theirs
    without_effect: they say how another server goes about it, and change no answer here
    only: what a parameter may be, as it holds here anyway; anything else is refused, None never
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    without_effect: Collection[str] = ()
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Our params; raises GatewayProblem naming the parameter that can't be had."""
        params = {}
        for name, value in given.items():
            if value is None or name in self.without_effect:
                continue
            if name in self.only:
                self._require(name, value)
            else:
                params[self.renamed.get(name, name)] = value
        return params

    def _require(self, name: str, value: Any) -> None:
        # True is 1 in Python, and not in JSON.
        if not any(value == one and type(value) is type(one) for one in self.only[name]):
            known = [repr(one).lower() for one in self.only[name]]
            may_be = f"; leave it out, or say {' or '.join(known)}" if known else "; leave it out"
            raise GatewayProblem("invalid", f"{name}: not known to this server{may_be}")
