"""A gateway as a process: started, asked, killed, terminated."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.command import ROOT, STREAMPROC, environment


class GatewayProcess:
    """`streamproc gateway` on any free port; starts again after it ended.

    settings: by name without prefix
    """

    def __init__(
        self,
        bootstrap_servers: str,
        log: Path,
        settings: Mapping[str, str] | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        self.log = log
        self._settings = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "GATEWAY_PORT": "0",
            "LOG_FORMAT": "json",
            **(settings or {}),
        }
        self._flags = tuple(flags)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*STREAMPROC, "gateway", *self._flags],
                cwd=ROOT,
                env=environment(self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        """The number of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def said(self) -> str:
        """What it has logged since it was started last."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode("utf-8", "replace")

    @property
    def address(self) -> str:
        """http://host:port; raises LookupError until it listens."""
        for line in self.said.splitlines():
            if '"gateway started"' in line:
                return str(json.loads(line)["address"])
        raise LookupError(f"no address yet; see {self.log}")

    def is_ready(self) -> bool:
        """Whether it takes requests."""
        try:
            with urllib.request.urlopen(f"{self.address}/health/ready", timeout=5) as answer:  # noqa: S310 - our own
                return bool(json.load(answer)["ready"])
        except (LookupError, OSError):
            return False

    def wait_until_ready(self, timeout_s: float = 60) -> str:
        """Its address, once it takes requests; raises TimeoutError with the end of its log."""
        give_up_at = time.monotonic() + timeout_s
        while not self.is_ready():
            if self.exit_code is not None or time.monotonic() > give_up_at:
                raise TimeoutError(f"not ready (exit code {self.exit_code}): {self.said[-2000:]}")
            time.sleep(0.05)
        return self.address

    def kill(self) -> None:
        """SIGKILL: nothing of the gateway gets a chance to act."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self, timeout_s: float = 60) -> int:
        """SIGTERM, and the exit code once it has drained."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout_s)

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
