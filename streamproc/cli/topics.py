"""`streamproc topics`: the described topics, made in Kafka and held against it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streamproc.cli.options import KAFKA, with_settings
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topic_drift import Drift, FoundTopic
from streamproc.kafka.topics import Topic, load_topics
from streamproc.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Topics as code: what topics/*.yaml describes.")
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
_FLAGS = (*KAFKA, "topics_dir", "max_message_bytes")


@app.command()
@with_settings(_FLAGS)
def apply(settings: Settings, json: Json = False) -> None:
    """Make the topics that are missing; those that differ are reported and left as they are."""
    topics = list(load_topics(settings.topics_dir).topics.values())
    created, differences = asyncio.run(_apply(settings, topics))
    if json:
        _print_json({"created": created, "drift": _as_json(differences)})
    else:
        there = len(topics) - len(created)
        typer.echo(f"{len(created)} topics made, {there} were there")
        for name in created:
            typer.echo(f"  + {name}")
        _print_drift(differences)
    if differences:
        raise typer.Exit(1)


@app.command()
@with_settings(_FLAGS)
def check(settings: Settings, json: Json = False) -> None:
    """Report how Kafka's topics differ from those described; exit 1 when any does."""
    topics = list(load_topics(settings.topics_dir).topics.values())
    differences = asyncio.run(_drift(settings, topics))
    if json:
        _print_json({"drift": _as_json(differences)})
    else:
        _print_drift(differences)
        if not differences:
            typer.echo(f"all {len(topics)} topics are as described")
    if differences:
        raise typer.Exit(1)


@app.command("list")
@with_settings(_FLAGS)
def list_topics(settings: Settings, json: Json = False) -> None:
    """List the described topics, and which of them Kafka has."""
    topics = list(load_topics(settings.topics_dir).topics.values())
    found = asyncio.run(_found(settings, topics))
    if json:
        rows = [
            {**topic.model_dump(mode="json"), "exists": topic.name in found} for topic in topics
        ]
        _print_json(rows)
        return
    table = Table("topic", "kind", "task", "topic-partitions", "in Kafka", "what it is")
    for topic in topics:
        table.add_row(
            topic.name,
            topic.kind,
            topic.task,
            str(topic.topic_partitions),
            "yes" if topic.name in found else "no",
            topic.description,
        )
    Console().print(table)


async def _apply(settings: Settings, topics: Sequence[Topic]) -> tuple[list[str], list[Drift]]:
    async with TopicAdmin(settings) as admin:
        created = await admin.create_missing(topics)
        # What was just made is as described, and Kafka may take a moment to show it.
        return created, await admin.drift(t for t in topics if t.name not in created)


async def _drift(settings: Settings, topics: Sequence[Topic]) -> list[Drift]:
    async with TopicAdmin(settings) as admin:
        return await admin.drift(topics)


async def _found(settings: Settings, topics: Sequence[Topic]) -> dict[str, FoundTopic]:
    async with TopicAdmin(settings) as admin:
        return await admin.found(topic.name for topic in topics)


def _print_drift(differences: Sequence[Drift]) -> None:
    if not differences:
        return
    table = Table("topic", "what", "described", "found")
    for difference in differences:
        found = "missing" if difference.found is None else difference.found
        table.add_row(difference.topic, difference.what, difference.described, found)
    Console().print(table)
    typer.echo("missing topics are made by `streamproc topics apply`; nothing else is changed")


def _as_json(differences: Sequence[Drift]) -> list[dict[str, str | None]]:
    return [
        {"topic": d.topic, "what": d.what, "described": d.described, "found": d.found}
        for d in differences
    ]


def _print_json(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
