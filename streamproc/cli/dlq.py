"""`streamproc dlq`: dead letters, the reason for each, and replaying them."""

from __future__ import annotations

import asyncio
from collections import Counter
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

app = command_group("List, show and replay dead letters.")
_FLAGS = (*KAFKA, "topics_dir", "max_message_bytes")
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Task = Annotated[str, typer.Option("--task", help="task whose dead letters to read")]
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
    task: Task = "text-classification",
    ids: Ids = None,
    types: Types = None,
    limit: Most = None,
    json: Json = False,
) -> None:
    """List dead letters: offset, request id, and the reason."""
    from streamproc.kafka.dead_letters import Selection, at_most, dead_letters
    from streamproc.kafka.topics import load_topics

    async def listed() -> list[dict[str, str]]:
        letters = dead_letters(settings, topic, Selection(ids=ids or (), types=types or ()))
        return [letter.summary() async for letter in at_most(letters, limit)]

    topic = load_topics(settings.topics_dir).requests(task)[0].dlq
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
    headings = ("offset", "id", "type", "reason", "request topic")
    print_table(console, headings, rows, names=(0, 1, 2, 4))
    console.print(f"{len(letters)} dead letters on {topic}")


@app.command()
@with_settings(_FLAGS)
def show(
    settings: Settings,
    offset: Annotated[str, typer.Argument(help="topic-partition:offset, as `dlq list` shows it")],
    task: Task = "text-classification",
    json: Json = False,
) -> None:
    """Show one dead letter: its headers, key and original value."""
    from streamproc.kafka.dead_letters import dead_letter_at
    from streamproc.kafka.topics import load_topics

    topic = load_topics(settings.topics_dir).requests(task)[0].dlq
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
    task: Task = "text-classification",
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
    """Send originals to their request topic again; responses have the same id."""
    if not every and not (ids or offsets or types):
        raise OperatorError("choose dead letters with --id, --offset, --type, or --all")
    from streamproc.kafka.dead_letters import Selection

    selection = Selection(ids or (), offsets or (), types or ())
    counts = asyncio.run(_replayed(settings, task, selection, limit, dry_run))
    if json:
        print_json({"dry_run": dry_run, "replayed": dict(counts)})
        return
    verb, console = "would be replayed" if dry_run else "replayed", stdout_console()
    console.print(f"{counts.total()} dead letters {verb}")
    for name, count in sorted(counts.items()):
        console.print(f"  {count} to {name}")


async def _replayed(
    settings: Settings, task: str, selection: Selection, limit: int | None, dry_run: bool
) -> Counter[str]:
    """How many were replayed, by topic."""
    from streamproc.clock import SystemClock
    from streamproc.kafka.dead_letters import at_most, replay
    from streamproc.kafka.producer import Producer
    from streamproc.kafka.topics import load_topics

    catalogue = load_topics(settings.topics_dir)
    producer = Producer(settings, SystemClock(), limits=catalogue.limits(settings))
    if not dry_run:
        await producer.start()
    try:
        letters = replay(
            settings,
            catalogue.requests(task)[0].dlq,
            selection,
            catalogue=catalogue,
            producer=None if dry_run else producer,
        )
        return Counter([letter.request_topic async for letter in at_most(letters, limit)])
    finally:
        await producer.stop()


def _print_fact(console: TerminalConsole, name: str, text: str) -> None:
    shown = f" {printable(text)}" if text else ""
    console.print(Text.assemble((f"{printable(name)}:", "dim"), shown), soft_wrap=True)
