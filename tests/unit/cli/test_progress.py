"""What long commands say while they work."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from streamproc.cli.progress import fetching


def test_a_fetch_is_told_in_a_single_line_where_there_is_no_terminal() -> None:
    out = io.StringIO()

    with fetching("Kafka", Console(file=out, force_terminal=False)) as report:
        for done in range(0, 101, 10):
            report(done << 20, 100 << 20)

    assert out.getvalue() == "fetching Kafka, once: 100 MiB\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_where_nothing_is_fetched_nothing_is_told(terminal: bool) -> None:
    out = io.StringIO()

    with fetching("Kafka", Console(file=out, force_terminal=terminal)):
        pass

    assert out.getvalue() == ""
