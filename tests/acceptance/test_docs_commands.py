"""Commands on documentation pages that are marked to be run do what the page says: exit with 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import ROOT, streamproc
from tests.support.doc_pages import Command, commands

MARKED = [command for command in commands() if command.run != "no"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that pages name."""
    texts = (ROOT / "tests" / "support" / "sample_texts.jsonl").read_text("utf-8")
    (tmp_path / "reviews.jsonl").write_text("".join(texts.splitlines(True)[:5]), "utf-8")
    # Pages show paths of a checkout.
    (tmp_path / "topics").symlink_to(ROOT / "topics")
    return tmp_path


@pytest.mark.parametrize("command", [one for one in MARKED if one.run == "local"], ids=str)
def test_a_command_that_needs_no_kafka_runs(command: Command, folder: Path) -> None:
    done = streamproc(*command.arguments, folder=folder, timeout_s=300)

    assert done.returncode == 0, done.stderr


@pytest.mark.kafka
@pytest.mark.parametrize("command", [one for one in MARKED if one.run == "kafka"], ids=str)
def test_a_command_that_needs_kafka_runs(command: Command, kafka: str) -> None:
    settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka}
    done = streamproc(*command.arguments, settings=settings, timeout_s=300)

    assert done.returncode == 0, done.stderr
