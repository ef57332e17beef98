from __future__ import annotations

import io

from streamproc.cli.route_view import RouteView
from streamproc.cli.terminal import TerminalConsole
from streamproc.enrichment.route import Route
from streamproc.errors import Invalid
from streamproc.worker.local_routes import as_records

ROUTE = Route.model_validate(
    {
        "kind": "route", "name": "shop", "description": "what is tested here", "meta": "/run",
        "from": {"topics": ["in"]}, "to": {"topic": "out"}, "dlq": "dead",
        "answers": [
            {"name": "mood", "task": "text-classification", "ensemble": "s", "text": "/t",
             "to": "/m"}
        ],
    }
)  # fmt: skip


def test_an_event_behind_blank_lines_is_named_by_its_line_too() -> None:
    console = TerminalConsole()
    console.file = io.StringIO()
    view = RouteView(console, ROUTE)
    lines = [b'{"t":"a"}', b"", b"  ", b"{", b'{"t":"b"}']
    for number, record in enumerate(as_records(ROUTE, lines, 0), start=1):
        view.dead_letter(number, record, Invalid("not JSON", "cut off"))

    assert [line.partition(" → ")[0] for line in console.file.getvalue().splitlines()] == [
        "event 1",
        "event 2 (line 4)",
        "event 3 (line 5)",
    ]
