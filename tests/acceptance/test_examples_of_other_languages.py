"""The programs of `examples/` in other languages, with their ordinary clients of Kafka."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from streamproc.kafka.embedded.jars import kafka_jars
from streamproc.maven import default_cache_dir
from streamproc.settings import read_settings
from tests.support.command import ROOT
from tests.support.ways_in import WaysIn

# Each fetches its language's packages, and compiles.
pytestmark = [pytest.mark.kafka, pytest.mark.nightly]
EXAMPLES = ROOT / "examples"


def needs(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed on this machine")


def run(*command: str | Path, folder: Path, kafka: str = "") -> str:
    """What a program prints."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"STREAMPROC_KAFKA_BOOTSTRAP_SERVERS": kafka},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# The small model of the tests has something to say to it.
PROMPT = "the good film"


def assert_a_text_and_how_it_ended(said: str) -> None:
    text, how, end = said.rpartition("\nok ")
    assert text, said
    assert how
    assert end in ("stop\n", "length\n")


def copied(language: str, folder: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES / language, folder / language))


def test_java(ways_in: WaysIn, tmp_path: Path) -> None:
    needs("javac")
    jars = kafka_jars(read_settings().cache_dir or default_cache_dir())
    class_path = os.pathsep.join(map(str, jars))

    said = run(
        *("java", "-cp", class_path, EXAMPLES / "java/Ask.java", PROMPT),
        folder=tmp_path,
        kafka=ways_in.kafka,
    )

    assert_a_text_and_how_it_ended(said)


def test_go(ways_in: WaysIn, tmp_path: Path) -> None:
    needs("go")
    folder = copied("go", tmp_path)
    run("go", "vet", "./...", folder=folder)

    said = run("go", "run", ".", PROMPT, folder=folder, kafka=ways_in.kafka)

    assert_a_text_and_how_it_ended(said)


def test_typescript(ways_in: WaysIn, tmp_path: Path) -> None:
    needs("npm")
    folder = copied("typescript", tmp_path)
    run("npm", "install", "--silent", "--no-audit", "--no-fund", folder=folder)
    run("npm", "run", "--silent", "check", folder=folder)

    ask: Sequence[str] = ("npm", "run", "--silent", "ask", PROMPT)
    said = run(*ask, folder=folder, kafka=ways_in.kafka)

    assert_a_text_and_how_it_ended(said)
