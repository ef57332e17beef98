"""The proxy that connections of workers are stalled and cut by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from streamproc.kafka.embedded.ports import free_port
from tests.support.tcp_link import Link

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    """Before a server that sends back what it is sent."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    serving = await asyncio.start_server(echo, "127.0.0.1", 0)
    behind = serving.sockets[0].getsockname()[1]
    async with serving, Link(free_port(), behind).open() as opened:
        yield opened


async def connected(link: Link) -> Connection:
    return await asyncio.open_connection("127.0.0.1", link.port)


async def asked(connection: Connection, data: bytes) -> bytes:
    connection[1].write(data)
    return await asyncio.wait_for(connection[0].readexactly(len(data)), 5)


async def test_bytes_are_passed_on_both_ways(link: Link) -> None:
    connection = await connected(link)
    assert await asked(connection, b"one") == b"one"
    connection[1].close()


async def test_what_is_sent_while_it_stalls_comes_once_it_is_restored(link: Link) -> None:
    connection = await connected(link)
    assert await asked(connection, b"one") == b"one"
    link.stall()
    connection[1].write(b"two")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection[0].read(1), 0.3)
    link.restore()
    assert await asyncio.wait_for(connection[0].readexactly(3), 5) == b"two"
    connection[1].close()


async def test_a_cut_ends_connections_and_refuses_new_ones_until_it_is_restored(
    link: Link,
) -> None:
    connection = await connected(link)
    assert await asked(connection, b"one") == b"one"
    link.cut()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asked(connection, b"two")
    refused = await connected(link)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asked(refused, b"two")
    link.restore()
    again = await connected(link)
    assert await asked(again, b"three") == b"three"
    again[1].close()
