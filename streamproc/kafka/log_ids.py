"""Which log a committed offset is of: the topic's id, kept beside it.

Kafka deletes a group's offsets with a topic. One that is committed just then, by a worker that has
not noticed, stays for the topic of that name that is made again, which has another id.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

FIELD: Final = "l"


def with_log(metadata: str, log_id: str | None) -> str:
    """What is kept beside an offset, with the log that it is of.

    metadata: empty, or a JSON object
    log_id: of the cluster and of the topic in it, with a slash between; None: it is not known
    """
    if log_id is None:
        return metadata
    return orjson.dumps({**orjson.loads(metadata or b"{}"), FIELD: log_id}).decode()


def log_beside(metadata: str) -> str | None:
    """The log that an offset is of, as far as its metadata says; None in what others wrote."""
    if f'"{FIELD}"' not in metadata:
        return None
    try:
        fields: Any = orjson.loads(metadata)
        found = fields[FIELD]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def is_of_another_log(metadata: str, log_id: str | None) -> bool:
    """Whether an offset was committed in a topic of the same name that is no more.

    log_id: of the topic that is there now; None: it is not known
    Not where it was committed in another cluster: a mirror has the same records under other ids.
    """
    found = log_beside(metadata)
    if found is None or log_id is None:
        return False
    (cluster, _, topic), (cluster_now, _, topic_now) = found.partition("/"), log_id.partition("/")
    return cluster == cluster_now and topic != topic_now
