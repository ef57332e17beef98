"""The page by itself: `streamproc status --web`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import structlog

from streamproc.clock import SystemClock
from streamproc.errors import BrokerUnavailable, OperatorError, TooLarge
from streamproc.kafka.reply_client import Replies, ReplyClient
from streamproc.kafka.topics import load_topics
from streamproc.settings import Settings
from streamproc.status.live import LiveStatus
from streamproc.web.asgi_server import address_of, listening, serve_until, server_config
from streamproc.web.loopback import is_loopback
from streamproc.web.page.app import build_page
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
        page = build_page(settings, status, ask, clock, local_only=is_loopback(host))
        choose = "choose another port (0 takes any that is free)"
        with listening(host, port, choose) as listener:
            if not is_loopback(host):
                log.warning(
                    "the page is open to whoever reaches this address: it shows dead letters and "
                    "redrives them; put something before it that asks who comes",
                    host=host,
                )
            tell(f"{address_of(listener)}/")
            config = server_config(
                page, _refusal, lifespan="off", timeout_graceful_shutdown=GRACE_S
            )
            await serve_until(stop, listener, config, status.end_streams)


def _refusal(status: int) -> tuple[bytes, str]:
    return HTTPStatus(status).phrase.encode(), "text/plain"


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[Ask]:
    """What asks requests for the playground, over a connection of its own."""
    topics = load_topics(settings.topics_dir)
    client = ReplyClient.of_catalogue(settings, topics, SystemClock())
    if client is None:

        async def nobody(*_: object) -> bytes:
            raise OperatorError(
                f"{topics.folder} describes no topic of kind replies, which the playground gets "
                "its answers by; take over nlp.replies.v1.yaml of the shipped ones"
            )

        yield nobody
        return
    async with client:
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
