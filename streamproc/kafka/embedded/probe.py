"""One question to a Kafka broker: who is in your cluster?"""

from __future__ import annotations

import socket
import struct

_METADATA, _VERSION, _CORRELATION = 3, 4, 1
_CLIENT = b"streamproc"


def answers(port: int, cluster_id: str, timeout_s: float = 2.0) -> bool:
    """Whether this cluster's broker answers on this port of 127.0.0.1, and counts itself in.

    It opens its port before it takes part in its own cluster; topics can be made only afterwards.
    The id tells it from another broker that took the port in the meantime.
    Layout: https://kafka.apache.org/protocol, Metadata version 4.
    """
    header = struct.pack(">hhih", _METADATA, _VERSION, _CORRELATION, len(_CLIENT)) + _CLIENT
    request = header + struct.pack(">i?", 0, False)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as replies:
                (size_bytes,) = struct.unpack(">i", replies.read(4))
                reply = replies.read(min(size_bytes, 65_536))
        correlation, _throttle_ms, brokers = struct.unpack_from(">iii", reply)
    except (OSError, struct.error):
        return False
    return correlation == _CORRELATION and brokers > 0 and cluster_id.encode() in reply
