"""Documentation pages say what there is: commands, settings, metrics."""

from __future__ import annotations

import re
from typing import Any

import pytest
from typer.main import get_command

from streamproc.cli.app import app
from streamproc.cli.lazy import LazyCommand
from streamproc.metrics import Metrics
from streamproc.settings import Settings
from streamproc.settings.gateway import GatewaySettings
from streamproc.web.gateway.metrics import GatewayMetrics
from streamproc.web.gateway.problems import OF_GATEWAY, OF_RESPONSES
from tests.support.command import ROOT
from tests.support.doc_pages import Command, commands

OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
# Kafka's own tools have options of their own.
NOT_ON_THE_PAGE = {"caller-left", "method-not-allowed"}
"""Problems that say themselves, or that nobody is there to read."""
COMMANDS = [one for one in commands() if one.arguments[:2] != ["broker", "tools"]]


def resolved(command: Command) -> tuple[Any, list[str]]:
    """The command that is called, imported, and what is left for it."""
    found: Any = get_command(app)
    rest = command.arguments
    while rest and rest[0] in getattr(found, "commands", {}):
        found, rest = found.commands[rest[0]], rest[1:]
        if isinstance(found, LazyCommand):
            found = found.load()
    return found, rest


def first_column(heading: str, page: str = OPERATIONS) -> set[str]:
    """The names in the first column of the tables below a heading of a page."""
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    # The row of headings comes before a row of hyphens.
    rows = re.findall(r"^\| (`[^|]*) \|(?!.*\n\|-)", section, re.MULTILINE)
    return {name for cell in rows for name in re.findall(r"`([^`]+)`", cell)}


def test_pages_show_commands() -> None:
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_on_a_page_exists_with_its_options(command: Command) -> None:
    found, rest = resolved(command)

    options = {
        name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)
    }
    used = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    assert used <= options | {"--help", "-h", "--version"}
    assert not hasattr(found, "commands") or found.invoke_without_command or used


def test_the_table_of_settings_has_every_setting_and_no_other() -> None:
    assert first_column("Settings") == {name.upper() for name in Settings.model_fields}


def test_the_page_of_the_gateway_has_its_settings_and_metrics_and_no_others() -> None:
    page = (ROOT / "docs" / "gateway.md").read_text("utf-8")
    metrics = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in GatewayMetrics(lambda: 0).registry.collect()
        if metric.name.startswith("streamproc_")
    }

    assert first_column("Settings", page) == {n.upper() for n in GatewaySettings.model_fields}
    assert first_column("Metrics", page) == metrics


def test_the_page_of_the_gateway_has_every_problem_with_its_status() -> None:
    page = (ROOT / "docs" / "gateway.md").read_text("utf-8")
    section = page.partition("### Errors\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([0-9, ]+) \| (`[^|]+) \|", section, re.MULTILINE)
    said = {
        (name, int(status))
        for statuses, names in rows
        for name in re.findall(r"`([^`]+)`", names)
        for status in statuses.split(", ")
    }

    known = dict(OF_RESPONSES) | {name: status for name, (status, _) in OF_GATEWAY.items()}
    assert {name for name, _ in said} == set(known) - NOT_ON_THE_PAGE
    assert all((name, known[name]) in said for name, _ in said)


def test_the_tables_of_metrics_have_every_metric_and_no_other() -> None:
    own = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in Metrics().registry.collect()
        if metric.name.startswith("streamproc_")
    }

    assert first_column("Metrics") == own
