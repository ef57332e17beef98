"""`streamproc routes`: what routes there are, whether they hold, and what one makes of events."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from streamproc.cli.lazy import command_group
from streamproc.cli.options import LOCAL_MODELS, with_settings
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import TerminalConsole, print_json, stdout_console
from streamproc.errors import DataFileError, Invalid
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.enrichment.asking import AskedText
    from streamproc.enrichment.enricher import Enriched
    from streamproc.enrichment.route import Route
    from streamproc.messages.record import Record

app = command_group(
    "List, check and try routes: events of any shape in, the same with answers out."
)
_FOLDERS = ("topics_dir", "routes_dir")
_MODELS = (
    *(name for name in LOCAL_MODELS if name != "max_message_bytes"),
    *(name for name in Settings.model_fields if name.startswith("schema_registry_")),
)
RouteFile = Annotated[Path, typer.Argument(help="the route's YAML file")]
EventsFile = Annotated[Path, typer.Argument(help="an event a line, JSON; - is standard input")]


@app.command("list")
@with_settings(_FOLDERS)
def list_routes(
    settings: Settings, json: Annotated[bool, typer.Option("--json", help="print JSON")] = False
) -> None:
    """List the routes there are: what they read, what they ask, where events go."""
    from streamproc.enrichment.catalogue import load_routes

    routes = load_routes(settings)
    if json:
        print_json([route.model_dump(mode="json", by_alias=True) for route in routes])
        return
    if not routes:
        stdout_console().print("no routes; --routes-dir names a folder of them")
        return
    rows = [
        (
            route.name,
            ", ".join(route.from_.topics),
            ", ".join(answer.name for answer in route.answers),
            route.to.topic,
            route.description,
        )
        for route in routes
    ]
    print_table(
        stdout_console(), ("route", "from", "answers", "to", "what it is"), rows, names=(0, 1, 3)
    )


@app.command()
@with_settings((*_FOLDERS, *_MODELS))
def check(settings: Settings) -> None:
    """Check every route with the models that it asks, and run its examples; exit 1 if one differs.

    Of an example `ticket.json` the expected event lies beside it, as `ticket.expected.json`.
    """
    from streamproc.enrichment.catalogue import load_routes, route_files
    from streamproc.enrichment.route import load_route
    from streamproc.logs import configure_logging

    configure_logging(settings)
    load_routes(settings)
    console, differ = stdout_console(), False
    for file in route_files(settings):
        route = load_route(file)
        ran, differences = asyncio.run(_check_examples(settings, route, file.parent))
        differ = differ or bool(differences)
        console.print(f"{route.name}: {len(differences) or 'no'} differences in {ran} examples")
        for line in differences:
            console.print(f"  {line}")
    if differ:
        raise typer.Exit(1)


@app.command("try")
@with_settings(_MODELS)
def try_route(
    settings: Settings,
    route: RouteFile,
    events: EventsFile,
    dry: Annotated[
        bool, typer.Option("--dry", help="ask nothing: show what would be asked, in tokens")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print the events that come out, one a line")
    ] = False,
) -> None:
    """Show what a route makes of each event, without Kafka.

    An event that would be a dead letter is shown with the reason.
    """
    from streamproc.enrichment.catalogue import check_tasks
    from streamproc.enrichment.route import load_route
    from streamproc.logs import configure_logging

    configure_logging(settings)
    loaded = load_route(route)
    check_tasks(loaded, route)
    with _opened(events) as file:
        asyncio.run(_try(settings, loaded, route.parent, file, dry=dry, as_json=as_json))


async def _try(
    settings: Settings, route: Route, folder: Path, events: IO[bytes], *, dry: bool, as_json: bool
) -> None:
    from streamproc.clock import SystemClock
    from streamproc.worker.local_routes import local_enricher
    from streamproc.worker.route_samples import open_samples

    console, clock = stdout_console(), SystemClock()
    samples = await open_samples(settings, route, folder, clock)
    async with local_enricher(settings, route, clock, samples.format) as enricher:
        for number, sample in enumerate(_records(route, events, clock.now_ms()), start=1):
            try:
                record = samples.record(sample)
                if dry:
                    _print_questions(console, await enricher.questions(record), number)
                    continue
                enriched = await enricher.enrich(record)
            except Invalid as reason:
                _print_dead_letter(console, number, reason, route)
                continue
            if as_json:
                shown = samples.shown(enriched.value)
                sys.stdout.buffer.write(shown.replace(b"\n", b" ") + b"\n")
            else:
                _print_enriched(console, number, enriched, route)


async def _check_examples(settings: Settings, route: Route, folder: Path) -> tuple[int, list[str]]:
    """How many examples there are, and where what came out differs from what is expected."""
    from streamproc.clock import SystemClock
    from streamproc.enrichment.examples import route_examples
    from streamproc.worker.local_routes import local_enricher
    from streamproc.worker.route_samples import open_samples

    examples = route_examples(route, folder)
    differences: list[str] = []
    clock = SystemClock()
    samples = await open_samples(settings, route, folder, clock)
    async with local_enricher(settings, route, clock, samples.format) as enricher:
        for example in examples:
            (record,) = _records(route, [example.event.replace(b"\n", b" ")], clock.now_ms())
            try:
                enriched = await enricher.enrich(samples.record(record))
                found = example.differences(route, samples.shown(enriched.value))
            except Invalid as reason:
                found = [f"it would be a dead letter: {reason}"]
            differences += [f"{example.file.name}: {line}" for line in found]
    return len(examples), differences


def _records(route: Route, lines: IO[bytes] | list[bytes], now_ms: int) -> Iterator[Record]:
    from streamproc.messages.record import Record

    for offset, line in enumerate(lines):
        if line.strip():
            text = line.strip(b"\r\n")
            yield Record(route.from_.topics[0], 0, offset, now_ms, None, text)


def _opened(events: Path) -> AbstractContextManager[IO[bytes]]:
    if str(events) == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return events.open("rb")
    except OSError as error:
        raise DataFileError(f"{events}: {error.strerror}") from None


def _print_enriched(
    console: TerminalConsole, number: int, enriched: Enriched, route: Route
) -> None:
    import orjson

    from streamproc.enrichment.json_pointer import format_pointer

    if enriched.outcome == "unmatched":
        goes = "goes on as it is" if route.unmatched == "forward" else "is dropped"
        console.print(f"event {number}: no condition holds, it {goes}")
        return
    console.print(f"event {number} → {route.to.topic}")
    for path, value in enriched.put.items():
        console.print(f"  + {format_pointer(path)}: {orjson.dumps(value).decode()}")


def _print_dead_letter(
    console: TerminalConsole, number: int, reason: Invalid, route: Route
) -> None:
    console.print(f"event {number} → {route.dlq}, a dead letter: {reason}")


def _print_questions(console: TerminalConsole, questions: Sequence[AskedText], number: int) -> None:
    console.print(f"event {number}: {len(questions)} questions")
    for question in questions:
        console.print(
            f"  {question.answer}: {question.ensemble}, {question.pointer}, "
            f"{question.tokens} tokens"
        )
