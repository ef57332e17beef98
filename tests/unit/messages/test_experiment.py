"""An experiment from its start to its end, and what is said to be true of its answers."""

from __future__ import annotations

import orjson
import pytest
from pydantic import ValidationError

from streamproc.errors import SettingsError
from streamproc.messages.experiment import read_experiment
from streamproc.messages.exposure import length_of, read_exposure
from streamproc.messages.feedback import Feedback, read_feedback
from tests.support.experiments import STARTED_MS, arm, experiment, exposure


def test_what_is_begun_anew_has_a_new_start_so_that_what_was_seen_before_does_not_count() -> None:
    before = experiment().ended()
    begun = experiment(at_ms=STARTED_MS + 5, started_ms=0, round=3).begun_anew(before)
    assert (begun.started_ms, begun.round) == (STARTED_MS + 5, 1)


def test_weights_are_changed_while_it_runs_and_begin_a_round() -> None:
    running = experiment()
    changed = experiment(arm("1", 3), arm("2"), at_ms=STARTED_MS + 5).begun_anew(running)
    assert (changed.started_ms, changed.round) == (STARTED_MS, 2)
    assert changed.begun_anew(changed).round == 2


def test_arms_are_not_changed_while_it_runs() -> None:
    for other in (
        experiment(arm("1"), arm("3")),
        experiment(arm("1"), arm("2"), arm("3", 0.1, is_shadow=True)),
        experiment(decides="errors"),
        experiment(topics=["a"]),
    ):
        with pytest.raises(SettingsError, match="experiments stop trial"):
            other.begun_anew(experiment())


def test_it_ends_once() -> None:
    ended = experiment().ended("tiny@2")
    assert (ended.state, ended.promoted, ended.is_running) == ("promoted", "tiny@2", False)
    with pytest.raises(SettingsError, match="has ended already: promoted"):
        ended.ended()


def test_a_control_that_answers_nobody_and_an_arm_that_is_there_twice_are_refused() -> None:
    for arms in (
        [arm("1", is_shadow=True), arm("2")],
        [arm("1"), arm("1")],
        [arm("1"), arm("2", 2.0, is_shadow=True)],
        [arm("1")],
    ):
        with pytest.raises(ValidationError):
            experiment(*arms)


def test_a_shadow_alone_is_compared_by_accuracy() -> None:
    with pytest.raises(ValidationError, match="by accuracy alone"):
        experiment(arm("1"), arm("2", is_shadow=True), decides="errors")


def test_experiments_overlap_where_a_request_could_be_in_both() -> None:
    everywhere, of_a = experiment(), experiment(topics=["a"])
    assert everywhere.overlaps(of_a)
    assert of_a.overlaps(experiment(topics=["a", "b"]))
    assert not of_a.overlaps(experiment(routes=["b"]))
    assert not everywhere.overlaps(experiment(ensemble="other"))
    assert of_a.includes("tiny", "a")
    assert not of_a.includes("tiny", "b")
    assert not of_a.includes("other", "a")


def test_what_was_stored_is_read_again_and_anything_else_is_none() -> None:
    assert read_experiment(experiment().encode()) == experiment()
    for value in (None, b"", b"{", b"[]", b'{"name": "x"}'):
        assert read_experiment(value) is None
        assert read_exposure(value) is None
        assert read_feedback(value) is None


@pytest.mark.parametrize(
    ("said", "label", "value"),
    [
        ({"label": "positive"}, "positive", 1.0),
        ({"label": "positive"}, "negative", 0.0),
        ({"label": ["a", "b"]}, ["b", "a"], 1.0),
        ({"label": ["a"]}, ["a", "b"], 0.0),
        ({"label": ["a"]}, "a", 1.0),
        ({"label": "positive"}, None, None),
        ({"correct": True}, None, 1.0),
        ({"correct": False}, "positive", 0.0),
        ({"score": 0.8}, None, 0.8),
        ({"score": 1}, None, 1.0),
    ],
)
def test_feedback_says_how_right_an_answer_was(
    said: dict[str, object], label: str | list[str] | None, value: float | None
) -> None:
    read = read_feedback(orjson.dumps({"id": "1", "own": "field", **said}))
    assert read is not None
    assert read.value_of(label) == value


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"correct": True, "score": 1.0},
        {"score": 1.1},
        {"score": -0.1},
        {"score": "1"},
        {"correct": "yes"},
        {"label": ""},
        {"label": 3},
    ],
)
def test_feedback_says_one_thing_and_in_its_own_type(said: dict[str, object]) -> None:
    assert read_feedback(orjson.dumps({"id": "1", **said})) is None


def test_feedback_is_about_a_request() -> None:
    for own in ({}, {"id": ""}, {"id": "a" * 257}, {"id": 4}):
        assert read_feedback(orjson.dumps({**own, "correct": True})) is None
    assert Feedback(id="1", correct=True).encode() == b'{"id":"1","correct":true}'


@pytest.mark.parametrize(
    ("characters", "bucket"),
    [(0, "1-127"), (127, "1-127"), (128, "128-511"), (2047, "512-2047"), (2048, "2048+")],
)
def test_lengths_have_buckets(characters: int, bucket: str) -> None:
    assert length_of(characters) == bucket


@pytest.mark.parametrize(
    "strange", [{"unit": "zz"}, {"unit": "f" * 17}, {"at_ms": 2**63}, {"round": 2**63}]
)
def test_an_exposure_that_nobody_could_count_is_none(strange: dict[str, object]) -> None:
    fields = exposure(1).model_dump(mode="json", exclude_none=True)

    assert read_exposure(orjson.dumps(fields)) == exposure(1)
    assert read_exposure(orjson.dumps({**fields, **strange})) is None
