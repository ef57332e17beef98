"""What a route makes of events, as people read it: on a terminal in columns, else a fact a line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from streamproc.logs.printable import printable

if TYPE_CHECKING:
    from streamproc.cli.terminal import TerminalConsole
    from streamproc.enrichment.asking import AskedText
    from streamproc.enrichment.enricher import Enriched
    from streamproc.enrichment.json_pointer import Path
    from streamproc.enrichment.route import Route
    from streamproc.errors import Invalid
    from streamproc.messages.record import Record

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_STATE_STYLES: Final = {"ok": "green", "skipped": "dim", "failed": "bold red"}


class RouteView:
    """Prints what becomes of one event after another; on a terminal values are shortened."""

    def __init__(self, console: TerminalConsole, route: Route) -> None:
        self._console = console
        self._route = route
        self._asked: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._events = 0
        self._given: Counter[str] = Counter({answer.name: 0 for answer in route.answers})

    def enriched(self, number: int, record: Record, enriched: Enriched) -> None:
        """An event that comes out: where it goes, and what is put in."""
        if enriched.outcome == "unmatched":
            goes = "goes on as it is" if self._route.unmatched == "forward" else "is dropped"
            self._headline(number, f": not all conditions hold, it {goes}", record)
            return
        self._headline(number, f" → {self._route.to.topic}", record)
        self._events += 1
        self._given.update(name for name, state in enriched.states.items() if state != "skipped")
        if self._console.is_terminal:
            self._print_columns(enriched)
            return
        for path, value in enriched.put.items():
            self._console.print(f"  + {_pointer(path)}: {_json(value)}")
        for name, detail in enriched.details.items():
            self._console.print(Text(printable(f"  ! {name}: {detail}")))

    def dead_letter(self, number: int, record: Record, reason: Invalid) -> None:
        """An event that can't come out, and why."""
        self._headline(number, f" → {self._route.dlq}, a dead letter: {reason}", record)

    def questions(self, number: int, record: Record, questions: Sequence[AskedText]) -> None:
        """What would be asked about an event."""
        self._headline(number, f": {_count(len(questions), 'question')}", record)
        self._events += 1
        self._given.update(one.answer for one in questions)
        for one in questions:
            self._asked[one.ensemble] += 1
            self._tokens[one.ensemble] += one.tokens
            self._console.print(
                f"  {one.answer}: {one.ensemble}, {one.pointer}, {_count(one.tokens, 'token')}"
            )

    def total(self) -> None:
        """What all events together would ask of each ensemble."""
        asked, tokens = _counts(self._asked.total(), self._tokens.total())
        events = _count(self._events, "event")
        self._console.print(f"{events}: {asked}, {tokens}, special tokens not counted")
        for ensemble, count in self._asked.items():
            asked, tokens = _counts(count, self._tokens[ensemble])
            self._console.print(f"  {ensemble}: {asked}, {tokens}")

    def never_given(self) -> None:
        """Names the answers that no event had a text for: probably a pointer is wrong."""
        for answer in self._route.answers:
            if self._events and not self._given[answer.name]:
                places = ", ".join(map(_pointer, answer.sources))
                said = (
                    f"{answer.name} asks nothing of these events; it looks for a text at {places}"
                )
                self._console.print(Text(printable(said)))

    def _headline(self, number: int, rest: str, record: Record) -> None:
        # Blank lines are no events; an editor counts them all the same.
        line = record.offset + 1
        where = f"event {number}" + ("" if line == number else f" (line {line})")
        self._console.print(Text.assemble((where, "bold"), printable(rest)))
        if self._console.is_terminal and record.value is not None:
            event = printable(record.value.decode("utf-8", "backslashreplace"))
            shown = Text(event, "dim", no_wrap=True, overflow="ellipsis")
            self._console.print(Padding(shown, (0, 0, 0, 2)))

    def _print_columns(self, enriched: Enriched) -> None:
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for path, value in enriched.put.items():
            if path == self._route.meta:
                continue
            table.add_row(
                Text("+", "green"),
                Text(printable(_pointer(path)), "cyan"),
                # With blanks, where lines can be broken.
                Text(printable(json.dumps(_shortened(value), ensure_ascii=False))),
            )
        run = enriched.put.get(self._route.meta) if self._route.meta is not None else None
        reasons = run["failed"] if isinstance(run, dict) else {}
        states = [
            Text.assemble(
                f"{name} ", (f"{state} {reasons.get(name, '')}".strip(), _STATE_STYLES[state])
            )
            for name, state in enriched.states.items()
        ]
        why = [Text(printable(f"{name}: {said}")) for name, said in enriched.details.items()]
        shown = Group(table, Text(" · ").join(states), *why)
        self._console.print(Padding(shown, (0, 0, 0, 2)))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _counts(questions: int, tokens: int) -> tuple[str, str]:
    return _count(questions, "question"), _count(tokens, "token")


def _pointer(path: Path) -> str:
    from streamproc.enrichment.json_pointer import format_pointer

    return format_pointer(path)


def _json(value: object) -> str:
    import orjson

    return orjson.dumps(value).decode()


def _shortened(value: Any) -> Any:
    """With three decimals, and the beginnings of digests: for the eye."""
    if isinstance(value, Mapping):
        return {name: _shortened(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shortened(one) for one in value]
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return value[:8] + "…"
    return value
