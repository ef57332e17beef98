"""Who is asked: a connection for each kind of request, through Kafka or through a gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager

from streamproc.client.answer import answer_of
from streamproc.client.connections import Connection, Transport
from streamproc.errors import RequestError
from streamproc.messages.client import ResponseBody
from streamproc.messages.lane import Lane
from streamproc.messages.response import ExperimentArm
from streamproc.offline.load.loops import Ask
from streamproc.offline.load.mix import Kind, Question
from streamproc.offline.load.recording import Reply


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

        async def ask(question: Question) -> Reply:
            return reply_of(await transports[question.kind].ask(question.body))

        yield ask


def reply_of(response: ResponseBody) -> Reply:
    """What a response says of itself."""
    digest = response.get("manifest", "").removeprefix("sha256:")[:12]
    version = f"{response.get('ensemble', '')} {digest}".strip()
    named = response.get("experiment")
    arm = None if named is None else ExperimentArm(named["name"], named["arm"])
    try:
        answer_of(response)
    except RequestError as error:
        return Reply(version, arm, error)
    return Reply(version, arm)
