"""A real Apache Kafka of one node, started and stopped from Python."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from streamproc.clock import Clock, SystemClock
from streamproc.errors import EmbeddedBrokerError
from streamproc.kafka.embedded import probe
from streamproc.kafka.embedded.config import MIB, Layout, Listener, jvm_arguments, write_config
from streamproc.kafka.embedded.jars import kafka_jars
from streamproc.kafka.embedded.java import find_java
from streamproc.kafka.embedded.locks import take
from streamproc.kafka.embedded.ports import comes_free, free_port, is_free
from streamproc.kafka.embedded.process import BrokerProcess, last_words, prepare_data
from streamproc.maven import Progress, default_cache_dir

if TYPE_CHECKING:
    from filelock import BaseFileLock

LEAST_FREE_BYTES = 512 * MIB
_ATTEMPTS = 3


class EmbeddedBroker:
    """A Kafka broker on 127.0.0.1, inside `with` or between `start()` and `stop()`.

    data_dir:     keeps topics and data over restarts; None: a temporary folder, gone after `stop()`
    port:         where clients connect; 0: a free one, the same again when started again
    memory_mb:    the most the JVM's heap takes, in MiB
    cache_dir:    where jars are kept; None: `default_cache_dir()`
    progress:     called while jars are fetched, at first use
    java_home:    a Java to use instead of the wheel's
    more_listeners: ports beside that one, whose clients have to show who they are
    more_settings: of the broker, in Kafka's own words
    start_timeout_s, stop_timeout_s: seconds until a start has failed, and until a stop is forced

    All calls block; from a coroutine use `asyncio.to_thread`. Linux and macOS.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        port: int = 0,
        memory_mb: int = 512,
        cache_dir: Path | None = None,
        progress: Progress | None = None,
        *,
        java_home: Path | None = None,
        start_timeout_s: float = 120,
        stop_timeout_s: float = 30,
        more_listeners: Sequence[Listener] = (),
        more_settings: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._data_dir = data_dir
        self._wanted_port = port
        self._port = port
        self._memory_mb = memory_mb
        self._cache_dir = cache_dir or default_cache_dir()
        self._progress = progress
        self._java_home = java_home
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._more_listeners = tuple(more_listeners)
        self._more_settings = dict(more_settings or {})
        self._clock = clock or SystemClock()
        self._layout: Layout | None = None
        self._lock: BaseFileLock | None = None
        self._process: BrokerProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        """host:port for clients; raises EmbeddedBrokerError before the first start."""
        if not self._port:
            raise EmbeddedBrokerError("the embedded Kafka has no port yet: start it first")
        return f"127.0.0.1:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether the broker's process lives."""
        return self._process is not None and self._process.exit_code() is None

    @property
    def data_dir(self) -> Path:
        """The folder in use; raises EmbeddedBrokerError when there is none yet."""
        return self._placed.root

    @property
    def log_file(self) -> Path:
        """Where Kafka logs; raises EmbeddedBrokerError when there is no folder yet."""
        return self._placed.log

    @property
    def _placed(self) -> Layout:
        if self._layout is None:
            raise EmbeddedBrokerError("the embedded Kafka has no folder: start it first")
        return self._layout

    def start(self) -> None:
        """Starts the broker and returns when it answers.

        Raises EmbeddedBrokerError when the port is busy, the folder in use or full, jars or Java
        are missing, or Kafka ends early or is silent for `start_timeout_s`.
        """
        if self.is_running:
            return
        if self._wanted_port and not is_free(self._wanted_port):
            raise EmbeddedBrokerError(
                f"port {self._wanted_port} of 127.0.0.1 is busy: stop what listens there, or "
                "choose another port with --port (0: any free port)"
            )
        try:
            layout = self._place()
            java = str(find_java(self._java_home))
            jars = kafka_jars(self._cache_dir, self._progress)
            self._launch([java, *jvm_arguments(layout, self._memory_mb, jars)], layout)
        except BaseException as error:
            # The message names the log: a temporary folder stays for whoever wants to read it.
            self._end(keep_folder=isinstance(error, EmbeddedBrokerError) and self._has_log())
            raise

    def wait(self) -> None:
        """Blocks while the broker runs; raises EmbeddedBrokerError when it ends by itself."""
        if self._process is not None:
            code = self._process.exit_code(wait_s=None)
            raise EmbeddedBrokerError(
                f"Kafka stopped by itself (exit code {code}): " + last_words(self._placed.log)
            )

    def stop(self) -> None:
        """Stops the broker in order, frees its folder, and removes a temporary one."""
        self._end(keep_folder=False)

    def kill(self) -> None:
        """Ends the broker with SIGKILL; `start()` finds the data again, a temporary one too."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._unlock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _has_log(self) -> bool:
        return self._layout is not None and self._layout.log.exists()

    def _end(self, keep_folder: bool) -> None:
        try:
            if self._process is not None:
                self._process.stop(self._stop_timeout_s)
        finally:
            self._process = None
            self._unlock()
            if self._data_dir is None and self._layout is not None and not keep_folder:
                shutil.rmtree(self._layout.root, ignore_errors=True)
                self._layout = None

    def _place(self) -> Layout:
        """Makes the data folder, checks its room, and takes its lock."""
        if self._layout is None:
            made = self._data_dir or Path(tempfile.mkdtemp(prefix="streamproc-kafka-"))
            self._layout = Layout(made.absolute())
        layout = self._layout
        try:
            layout.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedBrokerError(
                f"the data folder {layout.root} can't be created ({error.strerror}): "
                "choose another with --data-dir"
            ) from error
        free_bytes = shutil.disk_usage(layout.root).free
        if free_bytes < LEAST_FREE_BYTES:
            raise EmbeddedBrokerError(
                f"{layout.root} has {free_bytes // MIB} MiB free, and Kafka needs "
                f"{LEAST_FREE_BYTES // MIB}: free some space, or choose another with --data-dir"
            )
        self._unlock()
        self._lock = take(layout.lock)
        if self._lock is None:
            raise EmbeddedBrokerError(
                f"{layout.root} is in use by another embedded Kafka: stop that one, or choose "
                "another folder with --data-dir"
            )
        return layout

    def _launch(self, java: list[str], layout: Layout) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            # Ours from before may take a moment to come free: a killed Java lets go of it last.
            if not self._wanted_port and not (self._port and comes_free(self._port)):
                self._port = free_port()
            controller_port = free_port(besides=self._port)
            write_config(
                layout, self._port, controller_port, self._more_listeners, self._more_settings
            )
            layout.log.unlink(missing_ok=True)
            cluster_id = prepare_data(java, layout)
            self._process = BrokerProcess(java, layout)
            if self._wait_until_it_answers(layout, cluster_id):
                return
            # A port that was free a moment ago may be taken by now; of two, one is always ours.
            taken = "Address already in use" in layout.log.read_text("utf-8", "replace")
            if not taken or attempt == _ATTEMPTS:
                raise EmbeddedBrokerError(
                    "Kafka stopped before it answered: " + last_words(layout.log)
                )

    def _wait_until_it_answers(self, layout: Layout, cluster_id: str) -> bool:
        """True when the broker answers, False when it has ended."""
        assert self._process is not None  # noqa: S101 - `_launch` has just set it
        deadline_s = self._clock.monotonic_s() + self._start_timeout_s
        while not probe.answers(self._port, cluster_id):
            if self._process.exit_code(wait_s=0.05) is not None:
                return False
            if self._clock.monotonic_s() > deadline_s:
                raise EmbeddedBrokerError(
                    f"Kafka did not answer within {self._start_timeout_s:g} seconds: "
                    + last_words(layout.log)
                )
        return True

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
