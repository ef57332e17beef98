"""The page by itself: `streamproc status --web`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

import structlog
import uvicorn

from streamproc.clock import SystemClock
from streamproc.errors import BrokerUnavailable, OperatorError, SettingsError, TooLarge
from streamproc.kafka.reply_client import Replies, ReplyClient
from streamproc.kafka.topics import load_topics
from streamproc.settings import Settings
from streamproc.status.live import LiveStatus
from streamproc.web.page.app import build_page
from streamproc.web.page.guard import known_hosts
from streamproc.web.page.playground_api import Ask

GRACE_S: Final = 2

log = structlog.get_logger(__name__)


async def serve_page(
    settings: Settings, host: str, port: int, stop: asyncio.Event, tell: Callable[[str], object]
) -> None:
    """Serve until `stop`.

    tell: is handed the address once it is listened on
    Raises SettingsError where it can't listen, TopicsError where a topic is not described.
    """
    clock = SystemClock()
    async with LiveStatus(settings, clock) as status, asking(settings) as ask:
        page = build_page(settings, status, ask, clock, host=host)
        with _listening(host, port) as listening:
            at, number = listening.getsockname()[:2]
            if known_hosts(host) is None:
                log.warning(
                    "the page is open to whoever reaches this address: it shows dead letters and "
                    "redrives them; put something before it that asks who comes",
                    host=host,
                )
            tell(f"http://{f'[{at}]' if ':' in at else at}:{number}/")
            server = _Server(
                uvicorn.Config(
                    page,
                    http="h11",
                    ws="none",
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    timeout_graceful_shutdown=GRACE_S,
                )
            )
            serving = asyncio.create_task(server.serve([listening]))
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                status.end_streams()
                server.should_exit = True
                await serving
            finally:
                stopping.cancel()


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[Ask]:
    """What asks requests for the playground, over a connection of its own."""
    topics = load_topics(settings.topics_dir)
    replies = topics.replies()
    if not replies:

        async def nobody(*_: object) -> bytes:
            raise OperatorError(
                f"{topics.folder} describes no topic of kind replies, which the playground gets "
                "its answers by; take over nlp.replies.v1.yaml of the shipped ones"
            )

        yield nobody
        return
    limits = topics.limits(settings)
    asked = {topic.name: limits[topic.name] for topic in topics.requests()}
    async with ReplyClient(settings, replies[0], asked, SystemClock()) as client:
        yield asker(client)


def asker(client: Replies) -> Ask:
    """What asks by a client that is there already."""

    async def ask(topic: str, value: bytes, key: bytes, wait_s: float) -> bytes:
        try:
            async with asyncio.timeout(wait_s):
                return (await client.ask(topic, value, key=key)).value
        except TimeoutError:
            raise OperatorError(
                f"nobody has answered on {topic} for {wait_s:g} s; is a `streamproc worker` "
                "running, or is all of it behind a backlog?"
            ) from None
        except (BrokerUnavailable, TooLarge) as error:
            raise OperatorError(str(error)) from None

    return ask


class _Server(uvicorn.Server):
    """Signals are the command's: uvicorn's own handling ends the process by them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.create_server((host, port), family=family)
    except OSError as error:
        raise SettingsError(
            f"can't listen on {host}:{port}: {error.strerror}; choose another port (0 takes any "
            "that is free)"
        ) from None
    try:
        yield found
    finally:
        with suppress(OSError):
            found.close()
