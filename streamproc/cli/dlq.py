"""`streamproc dlq`: what was given up on, why, and asking it again."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
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
    from streamproc.kafka.dead_letters import DeadLetter, Selection

app = command_group("Requests that were given up on.")
_FLAGS = (*KAFKA, "topics_dir", "max_message_bytes")
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Task = Annotated[str, typer.Option("--task", help="whose dead letters")]
Ids = Annotated[list[str] | None, typer.Option("--id", help="id of a request; may be repeated")]
Offsets = Annotated[
    list[str] | None,
    typer.Option("--offset", help="topic-partition:offset of a dead letter; may be repeated"),
]
_TYPES: tuple[str, ...] = get_args(DeadLetterType)


def _type(written: str) -> str:
    if written not in _TYPES:
        raise typer.BadParameter(f"{written!r} is none; there are: {', '.join(_TYPES)}.")
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
Most = Annotated[int | None, typer.Option("--limit", min=1, help="at most so many")]


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
    """List dead letters: where each lies, its request, and what was wrong."""
    topic = _topic(settings, task)
    letters = asyncio.run(_listed(settings, topic, _selection(ids, None, types), limit))
    if json:
        print_json([_summary(letter) for letter in letters])
        return
    console = stdout_console()
    rows = [
        (
            letter.offset_name,
            letter.request_id,
            letter.type,
            f"{letter.title}: {letter.detail}",
            letter.request_topic,
        )
        for letter in letters
    ]
    headings = ("offset", "id", "type", "what was wrong", "came by")
    print_table(console, headings, rows, names=(0, 1, 2, 4))
    console.print(f"{len(letters)} dead letters on {topic}")


@app.command()
@with_settings(_FLAGS)
def show(
    settings: Settings,
    offset: Annotated[str, typer.Argument(help="topic-partition:offset, as `dlq list` has it")],
    task: Task = "text-classification",
    json: Json = False,
) -> None:
    """Show one dead letter: its headers, and the bytes that the sender sent."""
    from streamproc.kafka.dead_letters import dead_letter_at

    letter = asyncio.run(dead_letter_at(settings, _topic(settings, task), offset))
    record = letter.record
    headers = {
        name: None if value is None else value.decode("utf-8", "replace")
        for name, value in record.headers
    }
    value = None if record.value is None else record.value.decode("utf-8", "backslashreplace")
    key = None if record.key is None else record.key.decode("utf-8", "backslashreplace")
    if json:
        print_json({**_summary(letter), "key": key, "headers": headers, "value": value})
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
    every: Annotated[bool, typer.Option("--all", help="all dead letters there are")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only tell which")] = False,
    json: Json = False,
) -> None:
    """Put originals back on the topic they came by, to be answered under the same id."""
    if not every and not (ids or offsets or types):
        raise OperatorError("say which dead letters: --id, --offset, --type, or --all")
    selection = _selection(ids, offsets, types)
    counts = asyncio.run(_replayed(settings, task, selection, limit, dry_run))
    if json:
        print_json({"dry_run": dry_run, "replayed": dict(counts)})
        return
    verb, console = "would be replayed" if dry_run else "replayed", stdout_console()
    console.print(f"{counts.total()} dead letters {verb}")
    for name, count in sorted(counts.items()):
        console.print(f"  {count} to {name}")


async def _listed(
    settings: Settings, topic: str, selection: Selection, limit: int | None
) -> list[DeadLetter]:
    from streamproc.kafka.dead_letters import dead_letters

    letters: list[DeadLetter] = []
    # A generator that is left behind open is finished by nobody, and says so on standard error.
    async with aclosing(dead_letters(settings, topic, selection)) as found:
        async for letter in found:
            letters.append(letter)
            if limit is not None and len(letters) >= limit:
                break
    return letters


async def _replayed(
    settings: Settings, task: str, selection: Selection, limit: int | None, dry_run: bool
) -> Counter[str]:
    from streamproc.clock import SystemClock
    from streamproc.kafka.dead_letters import replay
    from streamproc.kafka.producer import Producer
    from streamproc.kafka.topics import load_topics

    catalogue, counts = load_topics(settings.topics_dir), Counter[str]()
    producer = Producer(settings, SystemClock(), limits=catalogue.limits(settings))

    def count(letter: DeadLetter) -> None:
        counts[letter.request_topic] += 1

    if not dry_run:
        await producer.start()
    try:
        await replay(
            settings,
            catalogue.requests(task)[0].dlq,
            selection,
            catalogue=catalogue,
            producer=None if dry_run else producer,
            replayed=count,
            most=limit,
        )
    finally:
        await producer.stop()
    return counts


def _topic(settings: Settings, task: str) -> str:
    from streamproc.kafka.topics import load_topics

    return load_topics(settings.topics_dir).requests(task)[0].dlq


def _selection(
    ids: list[str] | None, offsets: list[str] | None, types: list[str] | None
) -> Selection:
    from streamproc.kafka.dead_letters import Selection

    return Selection(frozenset(ids or ()), frozenset(offsets or ()), frozenset(types or ()))


def _summary(letter: DeadLetter) -> dict[str, str]:
    return {
        "offset": letter.offset_name,
        "id": letter.request_id,
        "type": letter.type,
        "title": letter.title,
        "detail": letter.detail,
        "request_topic": letter.request_topic,
    }


def _print_fact(console: TerminalConsole, name: str, text: str) -> None:
    shown = f" {printable(text)}" if text else ""
    console.print(Text.assemble((f"{printable(name)}:", "dim"), shown), soft_wrap=True)
