"""`streamproc topics`: the described topics, created in Kafka and compared with it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from streamproc.cli.lazy import command_group
from streamproc.cli.options import KAFKA, LOCAL_MODELS, REGISTRY, with_settings
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import TerminalConsole, print_json, stdout_console
from streamproc.settings import Settings

if TYPE_CHECKING:
    import yaml

    from streamproc.enrichment.route import Route
    from streamproc.kafka.topic_admin import TopicAdmin
    from streamproc.kafka.topic_drift import DescribedTopic, Drift
    from streamproc.kafka.topics import Topic

app = command_group("Create and check the topics that topics/*.yaml describe.")
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
T = TypeVar("T")
_FLAGS = (*KAFKA, "topics_dir", "routes_dir", "max_message_bytes")


@app.command()
@with_settings(_FLAGS)
def apply(settings: Settings, json: Json = False) -> None:
    """Create missing topics; existing ones that differ are reported and not changed."""
    from streamproc.enrichment.catalogue import load_routes, route_topics

    routes = load_routes(settings)
    topics: list[DescribedTopic] = [*_described(settings, routes), *route_topics(routes)]

    async def make(admin: TopicAdmin) -> tuple[list[str], list[Drift], list[str]]:
        created = await admin.create_missing(topics)
        # New topics are as described, and Kafka may take a moment to show them.
        differences = await admin.drift(t for t in topics if t.name not in created)
        return created, differences, await _unread(admin, routes, created)

    created, differences, lacking = _in_kafka(settings, make)
    if json:
        print_json({"created": created, "drift": differences, "lacking": lacking})
    else:
        console, there = stdout_console(), len(topics) - len(created)
        console.print(f"{len(created)} topics created, {there} existed")
        for name in created:
            console.print(f"  + {name}")
        _print_drift(console, differences)
        _print_lacking(console, lacking)
    if differences:
        raise typer.Exit(1)


@app.command()
@with_settings((*_FLAGS, *LOCAL_MODELS, *REGISTRY))
def check(
    settings: Settings,
    examples: Annotated[
        bool, typer.Option(help="run the examples of routes, with the models that they ask")
    ] = True,
    json: Json = False,
) -> None:
    """Report how Kafka's topics differ from their description, and routes from their examples.

    Exit code 1 when any does.
    """
    from streamproc.cli.route_examples import advice, print_advice, print_examples, run_examples
    from streamproc.enrichment.catalogue import route_topics, routes_by_file
    from streamproc.logs import configure_logging

    configure_logging(settings)
    routes = routes_by_file(settings)
    described = _described(settings, routes.values())
    topics: list[DescribedTopic] = [*described, *route_topics(routes.values())]

    async def compare(admin: TopicAdmin) -> tuple[list[Drift], list[str]]:
        return await admin.drift(topics), await _unread(admin, routes.values())

    differences, lacking = _in_kafka(settings, compare)
    shown = {file: route for file, route in routes.items() if examples and route.examples}
    wrong = run_examples(settings, shown)
    if json:
        looked_at = advice(settings, routes)
        print_json(
            {"drift": differences, "examples": wrong, "lacking": lacking, "advice": looked_at}
        )
    else:
        console = stdout_console()
        _print_drift(console, differences)
        if not differences:
            console.print(f"all {len(topics)} topics are as described")
        _print_lacking(console, lacking)
        print_examples(console, shown, wrong)
        print_advice(console, advice(settings, routes))
    if differences or any(wrong.values()):
        raise typer.Exit(1)


@app.command("list")
@with_settings(_FLAGS)
def list_topics(settings: Settings, json: Json = False) -> None:
    """List the topics that are described or that routes use, and which of them exist in Kafka."""
    from streamproc.enrichment.catalogue import load_routes, topics_of_routes

    routes = load_routes(settings)
    topics = _described(settings, routes)
    own = {topic.name for topic in topics}
    routed = [topic for topic in topics_of_routes(routes) if topic.name not in own]
    names = [*own, *(topic.name for topic in routed)]
    found = _in_kafka(settings, lambda admin: admin.found(names))
    if json:
        rows = [topic.model_dump(mode="json") for topic in topics]
        rows += [asdict(topic) for topic in routed]
        print_json([{**row, "exists": row["name"] in found} for row in rows])
        return
    headings = ("topic", "kind", "task", "topic-partitions", "in Kafka", "description")
    cells: list[tuple[str, ...]] = [
        (
            topic.name,
            topic.kind,
            topic.task or "all",
            str(topic.topic_partitions),
            "yes" if topic.name in found else "no",
            topic.description,
        )
        for topic in topics
    ]
    cells += [
        (
            topic.name,
            topic.kind,
            "",
            "" if topic.topic_partitions is None else str(topic.topic_partitions),
            "yes" if topic.name in found else "no",
            topic.description,
        )
        for topic in routed
    ]
    print_table(stdout_console(), headings, cells, names=(0, 1, 2), numbers=(3,))


@app.command()
@with_settings((*_FLAGS, *REGISTRY, "group_id", "reply_topics", "copy_headers"))
def asyncapi(
    settings: Settings, json: Annotated[bool, typer.Option("--json", help="JSON, not YAML")] = False
) -> None:
    """Print an AsyncAPI 3.1 document of all topics and routes; it needs no Kafka."""
    import yaml

    from streamproc.offline.asyncapi.document import asyncapi_document

    document = asyncapi_document(settings)
    if json:
        print_json(document)
        return
    text = yaml.dump(document, Dumper=_without_aliases(), sort_keys=False, allow_unicode=True)
    sys.stdout.buffer.write(text.encode())


def _without_aliases() -> type[yaml.SafeDumper]:
    """Writes what is there twice twice, as not all readers of AsyncAPI follow YAML's aliases."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    return Dumper


def _described(settings: Settings, routes: Collection[Route]) -> list[Topic]:
    from streamproc.kafka.topics import load_topics

    return list(load_topics(settings.topics_dir, required=not routes).topics.values())


async def _unread(
    admin: TopicAdmin, routes: Iterable[Route], created: Collection[str] = ()
) -> list[str]:
    """Topics that routes read and Kafka lacks; `created`: those that it is about to show."""
    read = {topic for route in routes for topic in route.from_.topics}
    return sorted(read - set(created) - (await admin.found(read)).keys())


def _in_kafka(settings: Settings, do: Callable[[TopicAdmin], Awaitable[T]]) -> T:
    from streamproc.kafka.topic_admin import TopicAdmin

    async def done() -> T:
        async with TopicAdmin(settings) as admin:
            return await do(admin)

    return asyncio.run(done())


def _print_lacking(console: TerminalConsole, topics: Sequence[str]) -> None:
    if topics:
        console.print(
            "yours to create, as routes read them and no worker starts without them: "
            f"{', '.join(topics)}"
        )


def _print_drift(console: TerminalConsole, differences: Sequence[Drift]) -> None:
    if not differences:
        return
    rows = [
        (one.topic, one.what, one.described, "missing" if one.found is None else one.found)
        for one in differences
    ]
    print_table(console, ("topic", "setting", "described", "found"), rows, names=(0, 1))
    console.print("`streamproc topics apply` creates missing topics; it changes nothing else")
