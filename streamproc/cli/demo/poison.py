"""A record that nobody can read, between requests that are answered."""

from __future__ import annotations

from contextlib import aclosing

from rich.console import Console
from rich.markup import escape

from streamproc.cli.demo.cluster import Cluster
from streamproc.kafka.dead_letters import dead_letters
from streamproc.kafka.producer import Producer
from streamproc.messages.record import ProducerRecord

UNREADABLE = b'{"text": "half a rec'


async def show_poison(console: Console, cluster: Cluster) -> None:
    """Send it, ask what was asked first once more, and show where it went."""
    first = cluster.asked[0]
    topic = cluster.topics[first.task]
    producer = Producer(cluster.settings, cluster.clock)
    await producer.start()
    try:
        await producer.send(ProducerRecord(topic.name, b"poison", UNREADABLE))
    finally:
        await producer.stop()
    await cluster.ask(first.task, [first.request])
    async with aclosing(dead_letters(cluster.settings, topic.dlq)) as letters:
        async for letter in letters:
            console.print(
                "[bold]A poison record[/] does not stop the others; its bytes are kept in "
                f"{topic.dlq}:\n"
                f"  {letter.offset_name} · {escape(letter.title)} · {escape(letter.detail)}\n"
            )
