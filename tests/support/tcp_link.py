"""A TCP proxy that a test can stall and cut, between clients and the server behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK_BYTES = 1 << 16


class Link:
    """Passes bytes on between a port of its own and another of this machine."""

    def __init__(self, port: int, server_port: int) -> None:
        self.port = port
        self._server_port = server_port
        self._flows = asyncio.Event()
        self._flows.set()
        self._is_down = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()

    def stall(self) -> None:
        """Nothing is passed on, and nobody is told: what a switch that died looks like."""
        self._flows.clear()

    def cut(self) -> None:
        """End all connections with a reset, and refuse new ones until `restore`."""
        self._is_down = True
        for writer in self._writers:
            writer.transport.abort()

    def restore(self) -> None:
        """Pass on what was held back, and take new connections."""
        self._is_down = False
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_down:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        self._writers.add(server[1])
        passing = [
            asyncio.create_task(self._pass(reader, server[1])),
            asyncio.create_task(self._pass(server[0], writer)),
        ]
        self._passing.update(passing)
        try:
            # One way that has ended ends the other: clients of Kafka never close half of one.
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in passing:
                task.cancel()
            await asyncio.wait(passing)
            self._passing.difference_update(passing)
            for one in (writer, server[1]):
                self._writers.discard(one)
                one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Link]:
        """Takes connections for as long as the block lasts."""
        serving = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        try:
            yield self
        finally:
            serving.close()
            self.cut()
            if self._passing:
                await asyncio.wait(self._passing, timeout=5)
