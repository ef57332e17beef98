"""What is promoted, rolled back and pinned: any sequence of it against a plain stack."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import ModelRefused
from streamproc.messages.model_choice import (
    REMEMBERED,
    ModelChoice,
    VersionDigest,
    read_choice,
)


def version(number: int) -> VersionDigest:
    return VersionDigest(version=str(number), manifest=f"{number:064x}")


def choice(**changes: Any) -> ModelChoice:
    made = {"group": "g", "ensemble": "tiny", "serves": version(1)}
    return ModelChoice(**(made | changes))


STEPS = st.lists(st.one_of(st.integers(1, 5), st.sampled_from(["back", "pin", "unpin"])))


@given(STEPS)
def test_any_sequence_of_steps_serves_what_a_stack_would(steps: list[int | str]) -> None:
    now, stack, is_pinned = choice(), [version(1)], False
    for step in steps:
        if step in ("pin", "unpin"):
            is_pinned = step == "pin"
            now = now.pinned(on=is_pinned)
        elif is_pinned or (step == "back" and len(stack) == 1):
            with pytest.raises(ModelRefused):
                now.rolled_back() if step == "back" else now.promoted(version(int(step)))
        elif step == "back":
            stack.pop()
            now = now.rolled_back()
        else:
            if version(int(step)) != stack[-1]:
                stack = [*stack, version(int(step))][-REMEMBERED - 1 :]
            now = now.promoted(version(int(step)))
        assert [*now.before, now.serves] == stack
        assert now.is_pinned is is_pinned
        assert read_choice(now.encode()) == now


def test_what_is_served_already_is_no_step_to_go_back_over() -> None:
    promoted = choice().promoted(version(2))
    assert promoted.promoted(version(2)).before == [version(1)]


def test_the_same_version_with_another_manifest_is_a_step() -> None:
    changed = VersionDigest(version="1", manifest="f" * 64)
    assert choice().promoted(changed).rolled_back().serves == version(1)


def test_while_it_is_pinned_it_is_said_who_pinned_it_and_how_that_ends() -> None:
    with pytest.raises(ModelRefused, match=r"version 1 by ada; streamproc models pin tiny --off"):
        choice(by="ada").pinned(on=True).promoted(version(2))


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b"[]", b"1", orjson.dumps({"group": "g", "ensemble": "e"})]
)
def test_what_is_no_choice_is_none(value: bytes | None) -> None:
    assert read_choice(value) is None


def test_what_a_newer_streamproc_adds_is_passed_over() -> None:
    newer = orjson.dumps({**choice().model_dump(mode="json"), "share": 0.1})
    assert read_choice(newer) == choice()
