"""Commands on documentation pages that are marked to be run do what the page says: exit with 0."""

from __future__ import annotations

import pytest

from tests.support.command import streamproc
from tests.support.doc_pages import Command, commands

MARKED = [command for command in commands() if command.run != "no"]


@pytest.mark.parametrize("command", [one for one in MARKED if one.run == "local"], ids=str)
def test_a_command_that_needs_no_kafka_runs(command: Command) -> None:
    done = streamproc(*command.arguments, timeout_s=300)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.kafka
@pytest.mark.parametrize("command", [one for one in MARKED if one.run == "kafka"], ids=str)
def test_a_command_that_needs_kafka_runs(command: Command, kafka: str) -> None:
    settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka}
    done = streamproc(*command.arguments, settings=settings, timeout_s=300)

    assert (done.returncode, done.stderr) == (0, "")
