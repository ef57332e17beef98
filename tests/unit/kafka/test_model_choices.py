"""The last choice for each ensemble of a group, of whatever lies on the topic."""

from __future__ import annotations

from structlog.testing import capture_logs

from streamproc.kafka.model_choices import model_choices
from streamproc.messages.model_choice import ModelChoice, VersionDigest
from streamproc.messages.record import Record


def choice(version: str, *, group: str = "g", ensemble: str = "tiny") -> ModelChoice:
    serves = VersionDigest(version=version, manifest="0" * 64)
    return ModelChoice(group=group, ensemble=ensemble, serves=serves)


def record(key: bytes | None, value: bytes | None) -> Record:
    return Record("models", 0, 0, 0, key, value)


def stored(one: ModelChoice) -> Record:
    return record(one.key, one.encode())


def test_the_last_choice_counts_for_each_ensemble_by_itself() -> None:
    choices = model_choices("g")
    for one in (choice("1"), choice("4", ensemble="other"), choice("2")):
        choices.take(stored(one))
    assert choices.by_name == {"tiny": choice("2"), "other": choice("4", ensemble="other")}


def test_those_of_other_groups_are_not_ours() -> None:
    choices = model_choices("g")
    for group in ("h", "gg", "g/h"):
        choices.take(stored(choice("2", group=group)))
    assert choices.by_name == {}


def test_a_group_may_have_a_slash_in_its_name() -> None:
    choices = model_choices("g/h")
    choices.take(stored(choice("2", group="g/h")))
    assert choices.by_name == {"tiny": choice("2", group="g/h")}


def test_a_tombstone_takes_a_choice_back() -> None:
    choices = model_choices("g")
    choices.take(stored(choice("2")))
    choices.take(record(b"g/tiny", None))
    assert choices.by_name == {}


def test_what_can_not_be_read_leaves_what_was_chosen_and_is_said() -> None:
    choices = model_choices("g")
    choices.take(stored(choice("2")))
    with capture_logs() as logs:
        choices.take(record(b"g/tiny", b"{"))
        choices.take(record(b"g/tiny", choice("3", ensemble="other").encode()))
        choices.take(record(None, b"x"))
    assert choices.by_name == {"tiny": choice("2")}
    assert [line["log_level"] for line in logs] == ["warning", "warning"]
