"""`streamproc dlq`: what was given up on, why, and asking it again."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamproc.cli.options import KAFKA, with_settings
from streamproc.clock import SystemClock
from streamproc.errors import OperatorError
from streamproc.kafka.dead_letters import (
    DeadLetter,
    Selection,
    dead_letter_at,
    dead_letters,
    replay,
)
from streamproc.kafka.producer import Producer
from streamproc.kafka.topics import TopicCatalogue, load_topics
from streamproc.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Requests that were given up on.")
_FLAGS = (*KAFKA, "topics_dir", "max_message_bytes")
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Task = Annotated[str, typer.Option("--task", help="whose dead letters")]
Ids = Annotated[list[str] | None, typer.Option("--id", help="id of a request; may be repeated")]
Offsets = Annotated[
    list[str] | None,
    typer.Option("--offset", help="topic-partition:offset of a dead letter; may be repeated"),
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="unreadable, invalid or failed; may be repeated"),
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
    topic = _topic(load_topics(settings.topics_dir), task)
    letters = asyncio.run(_listed(settings, topic, _selection(ids, None, types), limit))
    if json:
        _print_json([_summary(letter) for letter in letters])
        return
    table = Table("offset", "id", "type", "what was wrong", "came by")
    for letter in letters:
        wrong = f"{letter.title}: {letter.detail}"
        cells = (letter.offset_name, letter.request_id, letter.type, wrong, letter.request_topic)
        table.add_row(*map(escape, cells))
    Console().print(table)
    typer.echo(f"{len(letters)} dead letters on {topic}")


@app.command()
@with_settings(_FLAGS)
def show(
    settings: Settings,
    offset: Annotated[str, typer.Argument(help="topic-partition:offset, as `dlq list` has it")],
    task: Task = "text-classification",
    json: Json = False,
) -> None:
    """Show one dead letter: its headers, and the bytes that the sender sent."""
    topic = _topic(load_topics(settings.topics_dir), task)
    letter = asyncio.run(dead_letter_at(settings, topic, offset))
    record = letter.record
    headers = {
        name: None if value is None else value.decode("utf-8", "replace")
        for name, value in record.headers
    }
    value = None if record.value is None else record.value.decode("utf-8", "backslashreplace")
    key = None if record.key is None else record.key.decode("utf-8", "backslashreplace")
    if json:
        _print_json({**_summary(letter), "key": key, "headers": headers, "value": value})
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{escape(record.position)}[/] · {escape(letter.type)}")
    for name, text in headers.items():
        console.print(f"[dim]{escape(name)}:[/] {'null' if text is None else escape(text)}")
    console.print(f"[dim]key:[/] {'none' if key is None else escape(key)}")
    console.print("no value (tombstone)" if value is None else escape(value))


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
        _print_json({"dry_run": dry_run, "replayed": dict(counts)})
        return
    verb = "would be replayed" if dry_run else "replayed"
    typer.echo(f"{counts.total()} dead letters {verb}")
    for name, count in sorted(counts.items()):
        typer.echo(f"  {count} to {name}")


async def _listed(
    settings: Settings, topic: str, selection: Selection, limit: int | None
) -> list[DeadLetter]:
    letters: list[DeadLetter] = []
    async for letter in dead_letters(settings, topic, selection):
        letters.append(letter)
        if limit is not None and len(letters) >= limit:
            break
    return letters


async def _replayed(
    settings: Settings, task: str, selection: Selection, limit: int | None, dry_run: bool
) -> Counter[str]:
    catalogue, counts = load_topics(settings.topics_dir), Counter[str]()
    producer = Producer(settings, SystemClock(), limits=catalogue.limits(settings))

    def count(letter: DeadLetter) -> None:
        counts[letter.request_topic] += 1

    if not dry_run:
        await producer.start()
    try:
        await replay(
            settings,
            _topic(catalogue, task),
            selection,
            catalogue=catalogue,
            producer=None if dry_run else producer,
            replayed=count,
            most=limit,
        )
    finally:
        await producer.stop()
    return counts


def _topic(catalogue: TopicCatalogue, task: str) -> str:
    return catalogue.requests(task)[0].dlq


def _selection(
    ids: list[str] | None, offsets: list[str] | None, types: list[str] | None
) -> Selection:
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


def _print_json(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
