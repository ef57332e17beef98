"""Ports of this machine, free and busy."""

from __future__ import annotations

import secrets
import socket
import time

from streamproc.errors import EmbeddedBrokerError

# Below where systems take ports for outgoing connections: a client that retries against a broker
# that is away could otherwise be given the broker's own port, and keep it from coming back.
_FIRST, _LAST = 20_000, 31_999


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As Kafka does, so that connections left over from a broker just gone don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def comes_free(port: int, tries: int = 100, pause_s: float = 0.05) -> bool:
    """Whether a server could listen on this port now, or soon: tried so often."""
    for _ in range(tries):
        if is_free(port):
            return True
        time.sleep(pause_s)
    return False


def free_port(besides: int = 0) -> int:
    """A port nobody listens on, other than `besides`; somebody may take it in the next moment."""
    for _ in range(200):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST + 1)
        if port != besides and is_free(port):
            return port
    raise EmbeddedBrokerError(
        f"no free port was found between {_FIRST} and {_LAST}: choose one with --port"
    )
