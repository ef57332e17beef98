"""What an answer carries from its request: key, id, metadata."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.messages.record import Headers
from streamproc.testing import MemoryBroker, build_pipeline, build_record
from tests.support.answering import answer_to, body_of

ORIGINAL_ID: Headers = (("streamproc-original-id", b"r"),)


@pytest.mark.parametrize("key", [None, b"", b"\x00\xff"])
async def test_the_key_is_copied(key: bytes | None) -> None:
    answer = await answer_to({"id": "r", "text": "x"}, key=key)

    assert answer.key == key


@pytest.mark.parametrize(
    "metadata",
    [0, False, "", [], {}, {"ä": [1, 2.5, None, {"x": "\u2028"}]}, 2**63, [[[]]]],
    ids=repr,
)
async def test_metadata_is_handed_back_untouched(metadata: Any) -> None:
    answer = await answer_to({"id": "r", "text": "x", "metadata": metadata})

    assert body_of(answer)["metadata"] == metadata


@pytest.mark.parametrize(
    "metadata",
    [
        *("18446744073709551616", "-9223372036854775809", "12345678901234567890.12", "-0", "1.10"),
        *("1e400", "null", r'"\u00e9\/"', '{"a" : 1, "a": [ ]}', "9" * 400, "[-1E+400]"),
    ],
    ids=lambda text: str(text)[:24],
)
async def test_metadata_is_handed_back_byte_for_byte(metadata: str) -> None:
    value = f'{{"id": "r", "text": "x", "metadata": {metadata}}}'.encode()

    answer = await answer_to(value)

    assert f'"metadata":{metadata}'.encode() in (answer.value or b"")
    assert b'"status":"ok"' in (answer.value or b"")


async def test_a_number_that_no_parser_takes_is_refused_outside_of_metadata() -> None:
    answer = await answer_to(b'{"id": "r", "text": "x", "seed": 1e400}', headers=ORIGINAL_ID)

    assert body_of(answer)["error"]["type"] == "unreadable"


async def test_an_error_hands_metadata_back_byte_for_byte_too() -> None:
    answer = await answer_to(b'{"id": "r", "text": 5, "metadata": {"price": 1.10}}')

    assert (answer.value or b"").endswith(b'"metadata":{"price": 1.10}}')


async def test_metadata_that_is_not_there_is_not_made_up() -> None:
    answer = await answer_to({"id": "r", "text": "x", "params": {}, "other": {"metadata": 1}})

    assert b"metadata" not in (answer.value or b"")


async def test_a_request_without_an_id_is_answered_by_its_position() -> None:
    answer = await answer_to({"text": "x"}, offset=9)

    assert body_of(answer)["id"] == "requests:0:9"


async def test_a_replayed_request_is_answered_under_its_first_id() -> None:
    headers: Headers = (("streamproc-original-id", b"requests:3:9"),)

    answer = await answer_to({"text": "x"}, headers, offset=1)

    assert body_of(answer)["id"] == "requests:3:9"


async def test_a_dead_letter_that_fails_again_says_only_why_it_failed_this_time() -> None:
    broker = MemoryBroker()
    pipeline = build_pipeline(broker)
    await pipeline(build_record({"text": 5}, headers=(("traceparent", b"t"),), offset=3))
    (first,) = broker.topics["dlq"]
    replayed = (*first.headers, ("streamproc-original-id", b"requests:0:3"))

    await pipeline(build_record(first.value, key=first.key, headers=replayed, offset=8))

    (_, second) = broker.topics["dlq"]
    assert sorted(name for name, _ in second.headers) == sorted(name for name, _ in first.headers)
    headers = dict(second.headers)
    assert headers["streamproc-request-offset"] == b"8"
    assert headers["streamproc-error-id"] == b"requests:0:3"
    assert [body["id"] for body in broker.values("responses")] == ["requests:0:3"] * 2
