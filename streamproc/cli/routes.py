"""`streamproc routes`: what routes there are, whether they hold, and what one makes of events."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from streamproc.cli.lazy import command_group
from streamproc.cli.options import LOCAL_MODELS, REGISTRY, with_settings
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import print_json, stderr_console, stdout_console
from streamproc.errors import DataFileError, Invalid
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.enrichment.route import Route

app = command_group(
    "List, check and try routes: events of any shape in, the same with answers out."
)
_FOLDERS = ("topics_dir", "routes_dir")
_MODELS = (
    *(name for name in LOCAL_MODELS if name != "max_message_bytes"),
    *REGISTRY,
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
    from streamproc.cli.route_examples import advice, print_advice, print_examples, run_examples
    from streamproc.enrichment.catalogue import routes_by_file
    from streamproc.logs import configure_logging

    configure_logging(settings)
    routes = routes_by_file(settings)
    differences = run_examples(settings, routes)
    print_examples(stdout_console(), routes, differences)
    print_advice(stdout_console(), advice(settings, routes))
    if any(differences.values()):
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

    Events are counted; where blank lines make an event's line another one, that is named too.
    An event that would be a dead letter is shown with the reason.
    """
    from streamproc.cli.route_examples import print_advice
    from streamproc.enrichment.advice import advice_on
    from streamproc.enrichment.catalogue import check_tasks
    from streamproc.enrichment.route import load_route
    from streamproc.logs import configure_logging

    configure_logging(settings)
    loaded = load_route(route)
    check_tasks(loaded, route)
    print_advice(stderr_console(), {loaded.name: advice_on(loaded)})
    with _opened(events) as file:
        asyncio.run(_try(settings, loaded, route.parent, file, dry=dry, as_json=as_json))


async def _try(
    settings: Settings, route: Route, folder: Path, events: IO[bytes], *, dry: bool, as_json: bool
) -> None:
    from streamproc.cli.route_view import RouteView
    from streamproc.clock import SystemClock
    from streamproc.worker.local_routes import as_records, local_enricher
    from streamproc.worker.route_samples import open_samples

    # Beside events that come out there is nothing on standard output.
    view = RouteView(stderr_console() if as_json else stdout_console(), route)
    clock = SystemClock()
    lines = (line.strip(b"\r\n") for line in events)
    samples = await open_samples(settings, route, folder, clock)
    async with local_enricher(settings, route, clock, samples.format) as enricher:
        for number, sample in enumerate(as_records(route, lines, clock.now_ms()), start=1):
            try:
                record = samples.record(sample)
                if dry:
                    view.questions(number, sample, await enricher.questions(record))
                    continue
                enriched = await enricher.enrich(record)
            except Invalid as reason:
                view.dead_letter(number, sample, reason)
                continue
            if as_json:
                shown = samples.shown(enriched.value)
                sys.stdout.buffer.write(shown.replace(b"\n", b" ") + b"\n")
            else:
                view.enriched(number, sample, enriched)
    if dry:
        view.total()
    view.never_given()


def _opened(events: Path) -> AbstractContextManager[IO[bytes]]:
    if str(events) == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return events.open("rb")
    except OSError as error:
        raise DataFileError(f"{events}: {error.strerror}") from None
