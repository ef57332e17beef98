from __future__ import annotations

import socket
import threading

from streamproc.kafka.embedded.ports import comes_free, free_port, is_free


def listening(port: int) -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(1)
    return server


def test_a_port_that_is_let_go_of_comes_free() -> None:
    port = free_port()
    server = listening(port)
    assert not is_free(port)
    threading.Timer(0.2, server.close).start()
    assert comes_free(port)


def test_a_port_that_stays_busy_does_not() -> None:
    port = free_port()
    with listening(port):
        assert not comes_free(port, tries=3, pause_s=0.01)
