"""`streamproc dlq`: dead letters, the reason for each, and replaying them."""

from __future__ import annotations

import asyncio
import getpass
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich.text import Text

from streamproc.cli.lazy import command_group
from streamproc.cli.options import KAFKA, with_settings
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import TerminalConsole, print_json, stdout_console
from streamproc.errors import OperatorError
from streamproc.logs.printable import printable
from streamproc.messages.response import DeadLetterType
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.kafka.dead_letters import Selection
    from streamproc.status.letters import LetterPlace

app = command_group("List, show and replay dead letters.")
_FLAGS = (*KAFKA, "topics_dir", "routes_dir", "max_message_bytes")
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
TASK = "text-classification"
Task = Annotated[
    str | None, typer.Option("--task", help=f"task whose dead letters to read; default {TASK}")
]
RouteName = Annotated[
    str | None, typer.Option("--route", help="route whose dead letters to read, in place of a task")
]
Ids = Annotated[list[str] | None, typer.Option("--id", help="id of a request; may be repeated")]
Offsets = Annotated[
    list[str] | None,
    typer.Option("--offset", help="topic-partition:offset of a dead letter; may be repeated"),
]
_TYPES: tuple[str, ...] = get_args(DeadLetterType)


def _type(written: str) -> str:
    if written not in _TYPES:
        raise typer.BadParameter(f"{written!r} is not a type; choose from: {', '.join(_TYPES)}.")
    return written


Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        parser=_type,
        autocompletion=lambda: list(_TYPES),
        metavar="TYPE",
        help=f"{', '.join(_TYPES)}; may be repeated",
    ),
]
Most = Annotated[int | None, typer.Option("--limit", min=1, help="at most this many")]


@app.command("list")
@with_settings(_FLAGS)
def list_letters(
    settings: Settings,
    task: Task = None,
    route: RouteName = None,
    ids: Ids = None,
    types: Types = None,
    limit: Most = None,
    json: Json = False,
) -> None:
    """List dead letters: offset, request id, and the reason."""
    from streamproc.kafka.dead_letters import Selection, at_most, dead_letters

    async def listed() -> list[dict[str, str]]:
        letters = dead_letters(settings, topic, Selection(ids=ids or (), types=types or ()))
        return [letter.summary() async for letter in at_most(letters, limit)]

    topic = _place(settings, task, route).topic
    letters = asyncio.run(listed())
    if json:
        print_json(letters)
        return
    console = stdout_console()
    rows = [
        (
            one["offset"],
            one["id"],
            one["type"],
            f"{one['title']}: {one['detail']}",
            one["request_topic"],
        )
        for one in letters
    ]
    headings = ("offset", "id", "type", "reason", "request topic" if route is None else "from")
    print_table(console, headings, rows, names=(0, 1, 2, 4))
    console.print(f"{len(letters)} dead letters on {topic}")


@app.command()
@with_settings(_FLAGS)
def show(
    settings: Settings,
    offset: Annotated[str, typer.Argument(help="topic-partition:offset, as `dlq list` shows it")],
    task: Task = None,
    route: RouteName = None,
    json: Json = False,
) -> None:
    """Show one dead letter: its headers, key and original value."""
    from streamproc.kafka.dead_letters import dead_letter_at

    topic = _place(settings, task, route).topic
    letter = asyncio.run(dead_letter_at(settings, topic, offset))
    record = letter.record
    headers = {
        name: None if value is None else value.decode("utf-8", "replace")
        for name, value in record.headers
    }
    value = None if record.value is None else record.value.decode("utf-8", "backslashreplace")
    key = None if record.key is None else record.key.decode("utf-8", "backslashreplace")
    if json:
        print_json({**letter.summary(), "key": key, "headers": headers, "value": value})
        return
    console = stdout_console()
    console.print(Text.assemble((record.position, "bold"), f" · {printable(letter.type)}"))
    for name, text in headers.items():
        _print_fact(console, name, "null" if text is None else text)
    _print_fact(console, "key", "none" if key is None else key)
    # Its line feeds are kept, so it comes last, and to the right of what are facts.
    _print_fact(console, "value", "none (a tombstone)" if value is None else "")
    for line in (value or "").split("\n"):
        console.print(f"  {line}", soft_wrap=True)


@app.command("replay")
@with_settings(_FLAGS)
def replay_letters(
    settings: Settings,
    task: Task = None,
    route: RouteName = None,
    ids: Ids = None,
    offsets: Offsets = None,
    types: Types = None,
    limit: Most = None,
    every: Annotated[bool, typer.Option("--all", help="every dead letter")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="only report which would be replayed")
    ] = False,
    json: Json = False,
) -> None:
    """Send originals to the topic that they came by again; responses have the same id.

    Two headers of each, streamproc-redriven-by and -at, say who did so and when.
    """
    if not every and not (ids or offsets or types):
        raise OperatorError("choose dead letters with --id, --offset, --type, or --all")
    from streamproc.kafka.dead_letters import Selection

    selection = Selection(ids or (), offsets or (), types or ())
    place = _place(settings, task, route)
    counts = asyncio.run(_replayed(settings, place, selection, limit, dry_run))
    if json:
        print_json({"dry_run": dry_run, "replayed": dict(counts)})
        return
    verb, console = "would be replayed" if dry_run else "replayed", stdout_console()
    console.print(f"{counts.total()} dead letters {verb}")
    for name, count in sorted(counts.items()):
        console.print(f"  {count} to {name}")


def _place(settings: Settings, task: str | None, route: str | None) -> LetterPlace:
    """Of a task or a route; raises OperatorError when there is none of that name."""
    from streamproc.status.letters import route_place, task_place

    if route is None:
        return task_place(settings, task or TASK)
    if task is not None:
        raise OperatorError("give --task or --route, not both")
    return route_place(settings, route)


async def _replayed(
    settings: Settings, place: LetterPlace, selection: Selection, limit: int | None, dry_run: bool
) -> Counter[str]:
    """How many were replayed, by topic."""
    from streamproc.clock import SystemClock
    from streamproc.kafka.dead_letters import at_most
    from streamproc.status.letters import redriven

    by = None if dry_run else user_name()
    letters = redriven(settings, SystemClock(), place, selection, by=by)
    return Counter([letter.request_topic async for letter in at_most(letters, limit)])


def user_name() -> str:
    """Who is logged in, as far as the machine knows."""
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return "unknown"


def _print_fact(console: TerminalConsole, name: str, text: str) -> None:
    shown = f" {printable(text)}" if text else ""
    console.print(Text.assemble((f"{printable(name)}:", "dim"), shown), soft_wrap=True)
