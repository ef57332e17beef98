"""Files from Maven Central: fetched once through jgo, used only when they are the pinned ones."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from streamproc.errors import OperatorError
from streamproc.repository.files import sha256

_CONNECTIONS = 4
_LOCK_SECONDS = 600

Progress = Callable[[int, int], None]
"""Called while files are fetched with (bytes there, bytes in all), from several threads in turn."""


@dataclass(frozen=True)
class Pin:
    """One file: its path in a Maven repository, and the digest its bytes must have."""

    path: PurePosixPath
    sha256: str

    @property
    def coordinates(self) -> tuple[str, str, str]:
        """(group, artifact, version)."""
        *group, artifact, version, _ = self.path.parts
        return ".".join(group), artifact, version


@dataclass(frozen=True)
class Pinned:
    """Jars that belong together.

    what:       they are called in errors, a plural such as "Kafka's jars"
    size_bytes: of all of them, the far end of the progress bar
    room_bytes: that have to be free before they are fetched
    extra:      that brings what fetches them
    otherwise:  what somebody without a network can do, such as "or set ..."
    error:      raised when they can't be had
    """

    what: str
    pins: tuple[Pin, ...]
    size_bytes: int
    room_bytes: int
    extra: str
    otherwise: str
    error: type[OperatorError]


def default_cache_dir() -> Path:
    """Where what is fetched is kept when nobody says otherwise."""
    return Path.home() / ".cache" / "streamproc"


def pinned_files(
    pinned: Pinned, folder: Path, progress: Progress | None = None
) -> tuple[Path, ...]:
    """The files in the folder, in the order of their pins, fetched first when they are not there.

    Every file is compared with its pin at every call (about 50 ms for 40 MiB): a marker instead
    would vouch for files that changed after it was written.
    Raises the error of what is pinned when a file can't be fetched, or is not the pinned one.
    """
    files = tuple(folder / pin.path.name for pin in pinned.pins)
    if any(not file.exists() for file in files):
        with fetching_alone(pinned, folder):
            missing = [pin for pin in pinned.pins if not (folder / pin.path.name).exists()]
            fetch(pinned, missing, folder, progress)
    for pin, file in zip(pinned.pins, files, strict=True):
        verify(pin, file, pinned.error)
    return files


@contextmanager
def fetching_alone(pinned: Pinned, folder: Path) -> Iterator[None]:
    """Makes the folder, and keeps other processes from fetching into it inside the block."""
    try:
        from filelock import FileLock, Timeout  # noqa: PLC0415 - only there with the extra
    except ImportError as error:
        raise _not_installed(pinned) from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pinned.error(
            f"the folder for {pinned.what}, {folder}, can't be created ({error.strerror}): "
            "set STREAMPROC_CACHE_DIR to another"
        ) from error
    lock = FileLock(folder.with_name(f"{folder.name}.lock"), timeout=_LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise pinned.error(
            f"another process has been fetching {pinned.what} into {folder} for ten minutes: "
            "stop it, and start again"
        ) from None
    try:
        yield
    finally:
        lock.release()


def verify(pin: Pin, file: Path, error: type[OperatorError]) -> None:
    """Raises the error unless the file is the pinned one."""
    digest = sha256(file)
    if digest != pin.sha256:
        raise error(
            f"{file} is not the file that streamproc pins (sha256 {digest}, expected "
            f"{pin.sha256}): it was damaged or replaced; delete it and start again"
        )


def fetch(
    pinned: Pinned, missing: Sequence[Pin], folder: Path, progress: Progress | None = None
) -> None:
    """Fetch some of what is pinned into a folder that is the caller's alone.

    Raises the error of what is pinned.
    """
    if not missing:
        return
    try:
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 - as above
    except ImportError as error:
        raise _not_installed(pinned) from error
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < pinned.room_bytes:
        raise pinned.error(
            f"{folder} has {free_bytes >> 20} MiB free, and {pinned.what} need "
            f"{pinned.room_bytes >> 20}: free some space, or set STREAMPROC_CACHE_DIR"
        )
    # Left by a process that was killed; the caller says that nobody else is fetching now.
    for stale in folder.glob("fetching-*"):
        shutil.rmtree(stale, ignore_errors=True)
    there = (folder / pin.path.name for pin in pinned.pins)
    meter = _Meter(
        sum(file.stat().st_size for file in there if file.exists()), pinned.size_bytes, progress
    )
    # jgo writes in place: an interrupted download would look like a whole file, so it gets a
    # folder of its own, and only a verified file is moved to where it counts.
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as staging:
        context = MavenContext(
            resolver=PythonResolver(progress_callback=meter.file),
            repo_cache=Path(staging),
            # Files of other repositories on this machine are not ours to move.
            local_repos=[],
            timeout=30,
        )

        def fetch_one(pin: Pin) -> None:
            group, artifact, version = pin.coordinates
            got = Path(context.project(group, artifact).at_version(version).artifact().resolve())
            if (digest := sha256(got)) != pin.sha256:
                raise pinned.error(
                    f"what the repository gives as {pin.path.name} is not the file that "
                    f"streamproc pins (sha256 {digest}, expected {pin.sha256}): it was damaged "
                    f"on its way or replaced; start again, {pinned.otherwise}"
                )
            got.replace(folder / pin.path.name)

        pool = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="fetching")
        try:
            for fetched in [pool.submit(fetch_one, pin) for pin in missing]:
                fetched.result()
        except (OSError, RuntimeError) as error:
            raise pinned.error(
                f"{pinned.what} can't be fetched ({_reason(error)}): they need the network once, "
                f"at first use; connect and start again, {pinned.otherwise}"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _reason(error: Exception) -> str:
    # jgo raises RuntimeError when a repository answers, but does not have the file.
    if type(error) is RuntimeError:
        return "the repository does not give them"
    if type(error).__name__ == "ChunkedEncodingError":  # of requests
        return "the connection broke off"
    return getattr(error, "strerror", None) or type(error).__name__


def _not_installed(pinned: Pinned) -> OperatorError:
    return pinned.error(
        f"what fetches {pinned.what} is an extra that is not installed: "
        f'pip install "streamproc[{pinned.extra}]"'
    )


class _Meter:
    """Adds up the bytes of downloads that run side by side."""

    def __init__(self, done_bytes: int, total_bytes: int, progress: Progress | None) -> None:
        self._done_bytes, self._total_bytes = done_bytes, total_bytes
        self._progress = progress
        self._lock = threading.Lock()

    @contextmanager
    def file(self, _name: str, _size_bytes: int) -> Iterator[Callable[[int], None]]:
        yield self._add

    def _add(self, size_bytes: int) -> None:
        with self._lock:
            self._done_bytes += size_bytes
            if self._progress is not None:
                self._progress(min(self._done_bytes, self._total_bytes), self._total_bytes)
