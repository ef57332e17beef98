"""How far a promotion is: each worker serves it, refuses it, is pinned, or has not said."""

from __future__ import annotations

from typing import Any

from streamproc.messages.model_choice import ModelChoice, VersionDigest
from streamproc.messages.worker_state import EnsembleState, WorkerState
from streamproc.status.rollout import rollout
from tests.support.states import NOW_MS, picture, worker_state

NEW = VersionDigest(version="2", manifest="b" * 64)
CHOICE = ModelChoice(group="streamproc", ensemble="sentiment", serves=NEW, at_ms=1000)


def worker(worker_id: str, **changes: Any) -> WorkerState:
    made = {"name": "sentiment", "task": "text-classification", "version": "1", "manifest": "a"}
    return worker_state(worker_id, ensembles=[EnsembleState(**(made | changes))])


SERVES = worker("a", version="2", manifest="b" * 64, followed_at_ms=1000)
OTHER_FILES = worker("b", version="2", manifest="c" * 64, followed_at_ms=1000, refused="digests")
REFUSES = worker("c", wanted="2", refused="too large", followed_at_ms=1000)
PINNED = worker("d", followed_at_ms=1000)
SILENT = worker("e")
REFUSED_BEFORE = worker("f", wanted="2", refused="too large", followed_at_ms=999)


def test_each_worker_is_in_one_state() -> None:
    found = rollout([SERVES, OTHER_FILES, REFUSES, PINNED, SILENT, REFUSED_BEFORE], CHOICE, NOW_MS)
    assert found.serving == ("a",)
    assert found.refused == {"b": "digests", "c": "too large"}
    assert found.pinned == {"d": "1"}
    assert found.waiting == ("e", "f")
    assert not found.is_through


def test_who_is_silent_is_told_and_not_waited_for() -> None:
    silent = SILENT.model_copy(update={"at_ms": NOW_MS - 3_600_000})
    found = rollout([SERVES, silent], CHOICE, NOW_MS)
    assert found.silent == ("e",)
    assert found.is_through


def test_workers_of_other_ensembles_are_not_waited_for() -> None:
    assert rollout([worker("a", name="other")], CHOICE, NOW_MS).is_through


def test_the_picture_says_who_keeps_what_and_why() -> None:
    shown = picture(SERVES, REFUSES, worker("g", wanted="2", refused="too large"))
    (ensemble,) = shown.ensembles
    assert ensemble.versions == ("1", "2")
    assert shown.notes == ("sentiment@2 is promoted, and c, g keep sentiment@1: too large",)
