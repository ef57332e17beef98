"""Dead letters of a route: listed, shown, and sent through their route again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import apply_topics, group
from tests.support.command import streamproc
from tests.support.shop_route import describe_route
from tests.support.topics import Sent, Stored, create_topic, read_all, send

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
SOURCE, LETTERS = "letters.reviews.v1", "letters.reviews.dlq.v1"
UNREADABLE = b'{"body": NaN}'
HEADERS = (("shop", b"invented"), ("streamproc-route", b"one before"))


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "ROUTES_DIR": str(describe_route(tmp_path / "routes", "letters")),
    }


async def asked(settings: dict[str, str], *arguments: str) -> Any:
    done = await asyncio.to_thread(
        streamproc, "dlq", *arguments, "--route", "shop-reviews", "--json", settings=settings
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def letters(kafka: str, count: int) -> list[Stored]:
    async with asyncio.timeout(60):
        while len(found := await read_all(kafka, [LETTERS])) < count:  # noqa: ASYNC110 - Kafka's
            await asyncio.sleep(0.3)
    return found


async def test_an_event_that_nobody_can_read_goes_through_its_route_again(
    kafka: str, tmp_path: Path, settings: dict[str, str]
) -> None:
    await asyncio.to_thread(apply_topics, kafka, settings)
    await create_topic(kafka, SOURCE, topic_partitions=1)
    async with group(kafka, "letters", tmp_path, settings=settings):
        await send(kafka, [Sent(UNREADABLE, SOURCE, HEADERS, b"key")])
        await letters(kafka, 1)
        [listed] = await asked(settings, "list")
        shown = await asked(settings, "show", listed["offset"])
        planned = await asked(settings, "replay", "--all", "--dry-run")
        before = await read_all(kafka, [SOURCE])
        replayed = await asked(settings, "replay", "--type", "unreadable")
        await letters(kafka, 2)
        first, again = await read_all(kafka, [SOURCE])

    assert (listed["type"], listed["title"]) == ("unreadable", "not JSON")
    assert (listed["id"], listed["request_topic"]) == (f"{SOURCE}:0:0", SOURCE)
    assert (shown["value"], shown["key"]) == (UNREADABLE.decode(), "key")
    assert planned == {"dry_run": True, "replayed": {SOURCE: 1}}
    assert replayed == {"dry_run": False, "replayed": {SOURCE: 1}}
    assert len(before) == 1
    assert (again.key, again.value) == (first.key, first.value)
    added = again.headers.keys() - first.headers.keys()
    assert added == {"streamproc-redriven-by", "streamproc-redriven-at"}
    assert again.headers == first.headers | {name: again.headers[name] for name in added}


def test_a_route_that_is_not_there_or_a_task_beside_it_is_refused(
    settings: dict[str, str],
) -> None:
    other = streamproc("dlq", "list", "--route", "shop-review", settings=settings)
    both = streamproc(
        "dlq", "list", "--route", "shop-reviews", "--task", "translation", settings=settings
    )

    assert (other.returncode, both.returncode) == (2, 2)
    assert "no route 'shop-review'; did you mean 'shop-reviews'?" in other.stderr
    assert "give --task or --route, not both" in both.stderr


def test_topics_are_checked_with_the_examples_of_routes(kafka: str) -> None:
    shipped = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "ROUTES_DIR": "topics/examples/routes"}
    apply_topics(kafka, shipped)
    checked = streamproc("topics", "check", settings=shipped)
    without = streamproc("topics", "check", "--no-examples", settings=shipped)

    assert (checked.returncode, without.returncode) == (0, 0), checked.stdout + checked.stderr
    assert "shop-reviews: 1 example, no differences" in checked.stdout
    assert "example" not in without.stdout


def test_topics_that_routes_read_and_kafka_lacks_are_named(kafka: str, tmp_path: Path) -> None:
    shipped = Path("topics/examples/routes/shop-reviews.yaml").read_text("utf-8")
    ours = shipped.replace("topics: [shop.reviews.v1]", "topics: [shop.not-made-yet]")
    (tmp_path / "route.yaml").write_text(ours, "utf-8")
    settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "ROUTES_DIR": str(tmp_path)}
    applied = streamproc("topics", "apply", settings=settings)
    checked = streamproc("topics", "check", "--no-examples", settings=settings)
    as_json = streamproc("topics", "apply", "--json", settings=settings)

    assert applied.returncode == 0, applied.stderr
    for done in (applied, checked):
        assert "yours to create" in done.stdout
        assert "shop.not-made-yet" in done.stdout
    assert json.loads(as_json.stdout)["lacking"] == ["shop.not-made-yet"]
