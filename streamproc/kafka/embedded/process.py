"""Kafka's Java processes: the one that prepares a data folder, and the broker itself."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

from streamproc.errors import EmbeddedBrokerError
from streamproc.kafka.embedded.config import Layout

_LAUNCH = Path(__file__).with_name("launch.py")
_SHOWN_LINES = 8


class BrokerProcess:
    """A running broker: Java, in a process group of its own, ended when this process ends.

    java: the program and its JVM arguments, up to the class path
    """

    def __init__(self, java: list[str], layout: Layout) -> None:
        command = [*java, "kafka.Kafka", str(layout.server_properties)]
        with layout.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - streamproc's own command
                [sys.executable, "-I", "-S", str(_LAUNCH), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal goes to this process only, which then stops the broker
                # after those who still use it.
                start_new_session=True,
            )

    def exit_code(self, wait_s: float | None = 0) -> int | None:
        """How the broker ended, waiting so long for it; None while it runs."""
        try:
            return self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, patience_s: float) -> None:
        """Ends the broker in order, by force when it takes longer or the wait is interrupted."""
        try:
            self._signal(signal.SIGTERM)
            self.exit_code(patience_s)
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends the broker at once, as a power cut would; nothing happens when it has ended."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        # Not after the end: the number may be somebody else's by then.
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)


def prepare_data(java: list[str], layout: Layout) -> str:
    """Prepares the data folder for Kafka once, and returns the id of its cluster.

    Raises EmbeddedBrokerError when Kafka's own tool fails.
    """
    known = _cluster_id(layout)
    if known is not None:
        return known
    # 16 bytes in base64; the first two keep a minus, which would read as an option, from the front.
    cluster_id = base64.urlsafe_b64encode(b"sp" + secrets.token_bytes(14)).decode().rstrip("=")
    tool = ["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id]
    tool += ["--config", str(layout.server_properties)]
    with layout.log.open("ab") as log:
        done = subprocess.run(  # noqa: S603 - streamproc's own command
            [*java, *tool], stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        )
    if done.returncode != 0:
        raise EmbeddedBrokerError(
            f"Kafka's data folder {layout.data} can't be prepared: " + last_words(layout.log)
        )
    return cluster_id


def _cluster_id(layout: Layout) -> str | None:
    """The id that Kafka wrote as the last step of preparing the folder."""
    file = layout.data / "meta.properties"
    for line in file.read_text("utf-8").splitlines() if file.exists() else ():
        name, _, value = line.partition("=")
        if name.strip() == "cluster.id":
            return value.strip()
    return None


def last_words(log: Path) -> str:
    """The last lines of a log, and where the rest is."""
    lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
    shown = "".join(f"\n  {line}" for line in lines[-_SHOWN_LINES:])
    return f"the last lines of {log} are{shown or ' none'}"
