"""Who is asked: a connection for each kind of request, through Kafka or through a gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager

from streamproc.client.answer import answer_of
from streamproc.client.connections import Connection, Transport
from streamproc.messages.lane import Lane
from streamproc.offline.load.loops import Ask
from streamproc.offline.load.mix import Kind, Question


@asynccontextmanager
async def opened(
    kinds: Collection[Kind], connection_of: Callable[[Lane], Connection]
) -> AsyncIterator[Ask]:
    """What asks requests of these kinds.

    connection_of: how workers are reached by a lane
    Raises OperatorError where they can't be.
    """
    async with AsyncExitStack() as opening:
        transports: dict[Kind, Transport] = {}
        for kind in kinds:
            transports[kind] = await opening.enter_async_context(
                connection_of(kind.lane).open(kind.task)
            )

        async def ask(question: Question) -> str:
            answer = answer_of(await transports[question.kind].ask(question.body))
            ensemble = answer.response.get("ensemble", "")
            digest = str(answer.response.get("manifest", "")).removeprefix("sha256:")[:12]
            return f"{ensemble} {digest}".strip()

        yield ask
