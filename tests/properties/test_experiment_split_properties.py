"""The split: sticky, by weights, and a change of a weight moves no key that it need not."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streamproc.messages.experiment import Arm, Experiment
from streamproc.messages.experiment_split import answering_arm, shadow_arms, unit_of
from tests.support.experiments import arm, experiment

UNITS = [unit_of(experiment(), str(number).encode(), "") for number in range(4_000)]
WEIGHTS = st.floats(0.01, 1000)


def arms_of(own: Experiment) -> list[str]:
    return [answering_arm(own, unit).name for unit in UNITS]


def shares(own: Experiment) -> dict[str, float]:
    return {name: count / len(UNITS) for name, count in Counter(arms_of(own)).items()}


@given(key=st.binary(), request_id=st.text(min_size=1))
def test_a_key_has_one_arm_whatever_its_requests_are_called(key: bytes, request_id: str) -> None:
    unit = unit_of(experiment(), key, request_id)
    assert unit == unit_of(experiment(), key, "another")
    assert unit != unit_of(experiment(name="other"), key, request_id)
    assert len(unit) == 16
    assert answering_arm(experiment(), unit) == answering_arm(experiment(), unit)


@given(request_id=st.text(st.characters(), min_size=1))
def test_without_a_key_the_id_decides(request_id: str) -> None:
    assert unit_of(experiment(), None, request_id) == unit_of(experiment(), None, request_id)
    assert unit_of(experiment(), None, request_id) != unit_of(experiment(), b"", request_id)


@pytest.mark.parametrize("weights", [(1, 1), (9, 1), (1, 2, 5), (0.2, 0.3)])
def test_arms_get_the_shares_that_their_weights_say(weights: tuple[float, ...]) -> None:
    own = experiment(*(arm(str(number), weight) for number, weight in enumerate(weights, start=1)))
    found = shares(own)
    for one in own.arms:
        expected = one.weight / sum(weights)
        # Four standard deviations of a share of so many keys.
        assert abs(found[one.name] - expected) < 4 * (expected * (1 - expected) / len(UNITS)) ** 0.5


@given(before=st.lists(WEIGHTS, min_size=2, max_size=4), after=WEIGHTS, data=st.data())
def test_another_weight_of_an_arm_moves_keys_to_it_or_from_it_alone(
    before: list[float], after: float, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(before) - 1))
    assume(after != before[place])
    changed = [after if n == place else weight for n, weight in enumerate(before)]

    def own(weights: list[float]) -> list[Arm]:
        return [arm(str(number), weight) for number, weight in enumerate(weights, start=1)]

    first, second = experiment(*own(before)), experiment(*own(changed))
    name = first.arms[place].name
    for unit in UNITS[:200]:
        was, now = answering_arm(first, unit).name, answering_arm(second, unit).name
        if was != now:
            assert now == name if after > before[place] else was == name


def test_the_splits_of_two_experiments_do_not_go_together() -> None:
    keys = [str(number).encode() for number in range(4_000)]
    one, other = experiment(), experiment(name="other")
    both = Counter(
        (
            answering_arm(one, unit_of(one, key, "")).name,
            answering_arm(other, unit_of(other, key, "")).name,
        )
        for key in keys
    )
    assert all(900 < count < 1100 for count in both.values())
    assert len(both) == 4


def test_a_shadow_is_asked_about_its_share_of_every_arm() -> None:
    own = experiment(arm("1"), arm("2"), arm("3", 0.25, is_shadow=True))
    asked = Counter(answering_arm(own, unit).name for unit in UNITS if shadow_arms(own, unit))
    assert 0.22 < sum(asked.values()) / len(UNITS) < 0.28
    assert 0.44 < asked["tiny@1"] / sum(asked.values()) < 0.56
    everything = experiment(arm("1"), arm("3", 1, is_shadow=True))
    assert all(shadow_arms(everything, unit) for unit in UNITS)
