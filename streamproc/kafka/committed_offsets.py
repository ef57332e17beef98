"""What a group has committed: asked again while its coordinator loads, or has moved.

Since version 2 the response to OffsetFetch has an error of the group beside its topics, which are
none then. aiokafka looks at the errors of topic-partitions alone, and takes such a response for
that of a group which has committed nothing: everything would be read from the beginning, or, where
a group begins at a topic's end, what lies before it would be passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NoError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.structs import OffsetAndMetadata

from streamproc.kafka.private_api import (
    CoordinatorRequest,
    forget_coordinator,
    replace_coordinator_request,
)

PATIENCE_S: Final = 10.0
TRY_AGAIN_S: Final = 0.2
_HAS_MOVED: Final = (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)


def raise_group_errors(consumer: AIOKafkaConsumer) -> None:
    """Have a started consumer ask again where the group's coordinator can't say yet."""

    def checked(send: CoordinatorRequest) -> CoordinatorRequest:
        async def send_and_check(request: Any) -> Any:
            response = await send(request)
            if isinstance(request, OffsetFetchRequest):
                error = for_code(getattr(response, "error_code", 0))
                if issubclass(error, _HAS_MOVED):
                    forget_coordinator(consumer)
                if error is not NoError:
                    raise error("committed offsets of the group")
            return response

        return send_and_check

    replace_coordinator_request(consumer, checked)


async def committed_offsets(
    admin: AIOKafkaAdminClient, group_id: str, asked: Collection[TopicPartition]
) -> Mapping[TopicPartition, OffsetAndMetadata]:
    """What the group has committed of each, with offset -1 where that is nothing.

    Raises GroupLoadInProgressError where the coordinator does not say within ten seconds, and
    whatever else the client does.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = await admin.list_consumer_group_offsets(group_id, partitions=[*asked])
                if found.keys() >= set(asked):
                    return dict(found)
                await asyncio.sleep(TRY_AGAIN_S)
    except TimeoutError:
        raise GroupLoadInProgressError(f"the coordinator of group {group_id}") from None
