"""A route: an event of a shop before it and after, through Kafka."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from streamproc.cli.demo.cluster import Cluster
from streamproc.cli.demo.excerpt import visible
from streamproc.enrichment.route import Route
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import read_topic
from streamproc.messages.record import ProducerRecord

EVENT: Final = (
    '{"id": 12345678901234567890, "lang": "en", "price": 1.10, "title": "From London", '
    '"body": "Ada Lovelace sent it in two days. It is wonderful, I love it!", '
    '"lines": [{"sku": "A-1", "text": "The bicycle is red."}]}'
)
# Where the rest of an answer that tells which models gave it need not be read.
_DIGEST: Final = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")


async def show_route(console: Console, cluster: Cluster, route: Route) -> None:
    """Send an event that is none of streamproc's own, and show what comes out."""
    producer = Producer(cluster.settings, cluster.clock)
    await producer.start()
    try:
        await producer.send(ProducerRecord(route.from_.topics[0], b"order-7", EVENT.encode()))
    finally:
        await producer.stop()
    after = (await cluster.worker.watch(_enriched(cluster, route.to.topic))).decode()
    console.print(
        "[dim]topics/examples/routes/shop-reviews.yaml: events of a shop, with answers put "
        f"in[/]\n\nOn {route.from_.topics[0]}, as some program wrote it:"
    )
    width = console.width - 2
    console.print(Padding(broken(Text(EVENT), width), (0, 0, 1, 2)))
    console.print(f"On {route.to.topic}, {_verdict(EVENT, after)}")
    shown = broken(marked(EVENT, _DIGEST.sub(r"\1…", after)), width)
    console.print(Padding(shown, (0, 0, 1, 2)))


def marked(before: str, after: str) -> Text:
    """What came out, with what was put in standing out."""
    shown = Text()
    for is_new, piece in pieces(before, after):
        shown.append(visible(piece), "bold green" if is_new else "")
    return shown


def broken(text: Text, width: int) -> Text:
    """JSON in lines of at most so many characters, broken behind a comma or a blank."""
    cuts, start = [], 0
    while len(text) - start > width:
        line = text.plain[start : start + width]
        start += max(line.rfind(","), line.rfind(" ")) + 1 or width
        cuts.append(start)
    return Text("\n").join(line for line in text.divide(cuts))


def pieces(before: str, after: str) -> Iterator[tuple[bool, str]]:
    """The text that came out, piece by piece: whether it was not there before, and what it is."""
    for what, _, _, start, end in SequenceMatcher(None, before, after, False).get_opcodes():
        if end > start:
            yield what != "equal", after[start:end]


def _verdict(before: str, after: str) -> str:
    kept = "".join(piece for is_new, piece in pieces(before, after) if not is_new)
    if kept == before:
        return "with all of its bytes as they were, and answers between them:"
    return "changed:"


async def _enriched(cluster: Cluster, topic: str) -> bytes:
    while True:
        async for record in read_topic(cluster.settings, topic):
            return record.value or b""
        await asyncio.sleep(0.2)
