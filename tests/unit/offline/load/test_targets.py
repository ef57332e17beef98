"""Requests reach the connection of their kind, and what has no answer is an error."""

from __future__ import annotations

import pytest

from streamproc.errors import RequestRefused
from streamproc.messages.client import ResponseBody
from streamproc.messages.lane import Lane
from streamproc.offline.load.mix import Kind, Question
from streamproc.offline.load.targets import opened
from tests.support.scripted_connection import Scripted, echoed

INTERACTIVE = Kind("text-generation", Lane.INTERACTIVE)
BULK = Kind("text-generation", Lane.BULK)


async def test_each_kind_has_a_connection_of_its_own_which_ends_with_the_block() -> None:
    made = {lane: Scripted(echoed) for lane in Lane}
    async with opened([INTERACTIVE, BULK], made.__getitem__) as ask:
        await ask(Question(BULK, {"text": "later"}))
        assert all(one.is_open for one in made.values())

    assert not any(one.is_open for one in made.values())
    assert made[Lane.BULK].asked == [{"text": "later"}]
    assert made[Lane.INTERACTIVE].asked == []


async def test_the_version_that_answered_is_told_and_an_error_is_raised() -> None:
    def answered(body: object) -> ResponseBody:
        return {**echoed({"text": "a"}), "ensemble": "mine", "manifest": "sha256:" + "ab" * 32}

    async with opened([BULK], lambda _: Scripted(answered)) as ask:
        assert await ask(Question(BULK, {"text": "a"})) == "mine abababababab"
    async with opened([BULK], lambda _: Scripted(echoed)) as ask:
        with pytest.raises(RequestRefused):
            await ask(Question(BULK, {"text": "error: invalid"}))
