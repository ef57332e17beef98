"""A worker as a process: started, watched through its health, killed, terminated."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.command import ROOT, STREAMPROC, environment


class WorkerProcess:
    """`streamproc worker` of one group; starts again after it ended, logging to the same file.

    settings: by name without prefix
    tree: where it is started, whose code it then is; both may be changed before another start
    """

    def __init__(
        self,
        bootstrap_servers: str,
        group: str,
        log: Path,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.group = group
        self.log = log
        self.tree = ROOT
        self.settings = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "GROUP_ID": group,
            "WEB_PORT": "0",
            "LOG_FORMAT": "json",
            # The shortest Kafka takes: a killed worker's topic-partitions are free after it.
            "SESSION_TIMEOUT_S": "6",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0
        self._health: str | None = None

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        self._health = None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*STREAMPROC, "worker"],
                cwd=self.tree,
                env=environment(self.settings),
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
        """None while it runs; -9 after SIGKILL."""
        return None if self._process is None else self._process.poll()

    def last_words(self, characters: int = 3000) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-characters:]

    def kill(self) -> None:
        """SIGKILL: nothing of the worker gets a chance to act."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    async def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while; others don't notice but by its silence."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._process.send_signal(signal.SIGCONT)

    async def terminate(self, timeout_s: float = 60) -> int:
        """SIGTERM, and the exit code once it has drained; raises TimeoutError when it hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(self._process.wait, timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"no exit {timeout_s:g} s after SIGTERM; see {self.log}") from None

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def health(self) -> dict[str, Any]:
        """What `/v2/health/ready` says; `ready` is false too when nothing answers."""
        address = self._health_address()
        if address is None:
            return {"ready": False, "reasons": ["no address yet"]}
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))
        except OSError as error:
            return {"ready": False, "reasons": [str(error)]}

    def metrics_address(self) -> str:
        """Where Prometheus would ask; the worker has said so in its log."""
        address = self._health_address()
        assert address is not None
        return address.replace("/v2/health/ready", "/metrics")

    async def is_ready(self) -> bool:
        """Whether it takes requests."""
        return bool((await asyncio.to_thread(self.health))["ready"])

    async def wait_until_ready(self, timeout_s: float = 60) -> None:
        """Returns when it is ready; raises TimeoutError with the end of its log."""
        give_up_at = time.monotonic() + timeout_s
        while not await self.is_ready():
            if self.exit_code is not None or time.monotonic() > give_up_at:
                said = self.log.read_text("utf-8", "replace")[self._log_from :]
                raise TimeoutError(f"not ready (exit code {self.exit_code}): {said[-2000:]}")
            await asyncio.sleep(0.1)

    def peak_rss_mib(self) -> float:
        """The most memory it has held at once (Linux)."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def _health_address(self) -> str | None:
        """Told by the log: the port is any free one."""
        if self._health is None and self.log.exists():
            with self.log.open("rb") as log:
                log.seek(self._log_from)
                for line in log:
                    if b'"health"' in line and line.endswith(b"\n"):
                        self._health = str(json.loads(line)["health"])
        return self._health
