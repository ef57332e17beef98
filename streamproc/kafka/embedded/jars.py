"""Kafka's jars: fetched once through jgo, and used only when they are the pinned files."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from streamproc.errors import EmbeddedBrokerError
from streamproc.kafka.embedded.locks import held

KAFKA_VERSION = "4.1.0"
PINS_FILE = Path(__file__).with_name("jars.sha256")
# What all pinned jars weigh together: the far end of the progress bar.
TOTAL_BYTES = 44_173_905
_CONNECTIONS = 4
_OWN_CLUSTER = "or set STREAMPROC_KAFKA_BOOTSTRAP_SERVERS to use a Kafka of your own"

Progress = Callable[[int, int], None]
"""Called while jars are fetched with (bytes there, bytes in all), from several threads in turn."""


@dataclass(frozen=True)
class Pin:
    """One jar: its path in a Maven repository, and the digest its bytes must have."""

    path: PurePosixPath
    sha256: str

    @property
    def coordinates(self) -> tuple[str, str, str]:
        """(group, artifact, version)."""
        *group, artifact, version, _ = self.path.parts
        return ".".join(group), artifact, version


def read_pins(file: Path = PINS_FILE) -> tuple[Pin, ...]:
    """The pinned jars, from lines as `sha256sum` writes them."""
    lines = (line.split() for line in file.read_text("utf-8").splitlines())
    return tuple(Pin(PurePosixPath(path), sha256) for sha256, path in lines)


def default_cache_dir() -> Path:
    """Where jars are kept when nobody says otherwise."""
    return Path.home() / ".cache" / "streamproc"


def kafka_jars(
    cache_dir: Path, progress: Progress | None = None, pins: tuple[Pin, ...] | None = None
) -> tuple[Path, ...]:
    """The jars of Kafka's class path, fetched first when they are not there.

    Every jar is compared with its pin at every call (about 50 ms in all): a marker instead would
    vouch for files that changed after it was written.
    Raises EmbeddedBrokerError when a jar can't be fetched, or is not the pinned file.
    """
    pins = read_pins() if pins is None else pins
    folder = cache_dir / f"kafka-{KAFKA_VERSION}"
    jars = tuple(folder / pin.path.name for pin in pins)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedBrokerError(
            f"the folder for Kafka's jars, {folder}, can't be created ({error.strerror}): "
            "set STREAMPROC_CACHE_DIR to another"
        ) from error
    missing = [pin for pin in pins if not (folder / pin.path.name).exists()]
    if missing:
        with held(cache_dir / f"kafka-{KAFKA_VERSION}.lock", timeout_s=600) as got:
            if not got:
                raise EmbeddedBrokerError(
                    f"another process has been fetching Kafka's jars into {folder} for ten "
                    "minutes: stop it, and start again"
                )
            _fetch(
                [pin for pin in missing if not (folder / pin.path.name).exists()], folder, progress
            )
    for pin, jar in zip(pins, jars, strict=True):
        verify(pin, jar)
    return jars


def verify(pin: Pin, jar: Path) -> None:
    """Raises EmbeddedBrokerError unless the file is the pinned one."""
    with jar.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != pin.sha256:
        raise EmbeddedBrokerError(
            f"{jar} is not the file that streamproc pins (sha256 {digest}, expected "
            f"{pin.sha256}): it was damaged or replaced; delete it and start again"
        )


def _fetch(pins: list[Pin], folder: Path, progress: Progress | None) -> None:
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 - only there with the extra

    if not pins:
        return
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < 2 * TOTAL_BYTES:
        raise EmbeddedBrokerError(
            f"{folder} has {free_bytes >> 20} MiB free, and Kafka's jars need "
            f"{2 * TOTAL_BYTES >> 20}: free some space, or set STREAMPROC_CACHE_DIR"
        )
    # Left by a process that was killed; the lock says that nobody is fetching now.
    for stale in folder.glob("fetching-*"):
        shutil.rmtree(stale, ignore_errors=True)
    meter = _Meter(sum(jar.stat().st_size for jar in folder.glob("*.jar")), progress)
    # jgo writes in place: an interrupted download would look like a whole jar, so it gets a
    # folder of its own, and only a verified jar is moved to where it counts.
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as staging:
        context = MavenContext(
            resolver=PythonResolver(progress_callback=meter.file),
            repo_cache=Path(staging),
            # Jars of other repositories on this machine are not ours to move.
            local_repos=[],
            timeout=30,
        )

        def fetch(pin: Pin) -> None:
            group, artifact, version = pin.coordinates
            jar = Path(context.project(group, artifact).at_version(version).artifact().resolve())
            verify(pin, jar)
            jar.replace(folder / pin.path.name)

        pool = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="jars")
        try:
            for fetched in [pool.submit(fetch, pin) for pin in pins]:
                fetched.result()
        except (OSError, RuntimeError) as error:
            # jgo raises RuntimeError when a repository answers, but does not have the file.
            answered = type(error) is RuntimeError
            reason = (
                "the repository does not give them"
                if answered
                else getattr(error, "strerror", None) or type(error).__name__
            )
            raise EmbeddedBrokerError(
                f"Kafka's jars can't be fetched ({reason}): they need the network once, at first "
                f"use; connect and start again, {_OWN_CLUSTER}"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


class _Meter:
    """Adds up the bytes of downloads that run side by side."""

    def __init__(self, done_bytes: int, progress: Progress | None) -> None:
        self._done_bytes = done_bytes
        self._progress = progress
        self._lock = threading.Lock()

    @contextmanager
    def file(self, _name: str, _size_bytes: int) -> Iterator[Callable[[int], None]]:
        yield self._add

    def _add(self, size_bytes: int) -> None:
        with self._lock:
            self._done_bytes += size_bytes
            if self._progress is not None:
                self._progress(min(self._done_bytes, TOTAL_BYTES), TOTAL_BYTES)
