"""Requests reach the connection of their kind, and what has no answer is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamproc.messages.client import ResponseBody
from streamproc.messages.lane import Lane
from streamproc.messages.response import ExperimentArm
from streamproc.offline.load.mix import Kind, Question
from streamproc.offline.load.recording import Reply
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


async def test_the_version_and_the_arm_that_answered_are_told_of_errors_too() -> None:
    def answered(body: Mapping[str, Any]) -> ResponseBody:
        arm = {"name": "trial", "arm": "mine@2"}
        named: ResponseBody = {**echoed(body), "ensemble": "mine", "experiment": arm}
        return {**named, "manifest": "sha256:" + "ab" * 32}

    async with opened([BULK], lambda _: Scripted(answered)) as ask:
        reply = await ask(Question(BULK, {"text": "a"}))
        refused = await ask(Question(BULK, {"text": "error: invalid"}))

    assert reply == Reply("mine abababababab", ExperimentArm("trial", "mine@2"))
    assert refused.arm == reply.arm
    assert refused.error is not None
    assert refused.error.type == "invalid"
    async with opened([BULK], lambda _: Scripted(echoed)) as ask:
        assert (await ask(Question(BULK, {"text": "a"}))).arm is None
