"""Which pages may ask: a browser says whose page it is, and which name it found the gateway by.

Without this any page that somebody opens could ask a gateway on the same machine, as it needs no
key there.
"""

from __future__ import annotations

from collections.abc import Collection

from streamproc.web.gateway.problems import GatewayProblem
from streamproc.web.loopback import asks_loopback


class Origins:
    """allowed: origins of other pages, as https://host:port; local_only: names of this machine"""

    def __init__(self, allowed: Collection[str], *, local_only: bool) -> None:
        self._allowed = frozenset(allowed)
        self._local_only = local_only

    def require(self, host: str | None, origin: str | None) -> None:
        """Raises GatewayProblem where a page asks that may not.

        host, origin: the headers
        """
        if self._local_only and not asks_loopback(host):
            raise GatewayProblem(
                "forbidden",
                "callers need no key here, so the gateway answers to names of this machine alone; "
                "ask 127.0.0.1 or localhost",
            )
        if origin is None or origin in self._allowed or "*" in self._allowed:
            return
        # A browser names no more than scheme and host; what else comes is no page's origin.
        if origin.partition("://")[2] != host:
            raise GatewayProblem(
                "forbidden",
                "pages of other servers may ask when STREAMPROC_GATEWAY_CORS_ORIGINS lists them",
            )
