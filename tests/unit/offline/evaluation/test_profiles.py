"""How few members will do, chosen by how good their answers are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.cli import profiles as command
from streamproc.offline.evaluation.profiles import (
    COST,
    MARGINS,
    SHARES,
    Value,
    chosen_profiles,
    profiles_to_measure,
    with_profiles,
)
from streamproc.repository.manifest import CombineSection, ProfilesSection
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.serving.profiles import TopicProfile
from streamproc.types import Strategy
from tests.support.onnx_models import classifier, write_ensemble


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredEnsemble:
    root = tmp_path_factory.mktemp("models")
    write_ensemble(root / "tiny", [classifier(seed=seed) for seed in (1, 2, 3)])
    found = Repository(root).open("tiny")
    return combined_by("weighted", found)


def combined_by(strategy: Strategy, stored: StoredEnsemble) -> StoredEnsemble:
    changes = {"combine": CombineSection(strategy=strategy)}
    return replace(stored, manifest=stored.manifest.model_copy(update=changes))


def worth(full: float, cascade: dict[float, float], trusted: dict[float, float]) -> Value:
    """Values by margin or share; where there is none, that of all members."""

    def value(way: StoredEnsemble, profile: TopicProfile) -> float:
        section = way.manifest.profiles
        if profile.name == "cascade" and section.cascade_margin is not None:
            return cascade.get(section.cascade_margin, full)
        if profile.name == "trusted" and section.trusted_share is not None:
            return trusted.get(section.trusted_share, full)
        return full

    return value


def chosen(stored: StoredEnsemble, value: Value) -> ProfilesSection:
    return chosen_profiles(stored, value, COST).manifest.profiles


def test_the_least_is_taken_from_which_on_all_larger_ones_are_good_enough(
    stored: StoredEnsemble,
) -> None:
    lucky = {margin: 0.8 for margin in MARGINS if 0.2 <= margin < 0.7}
    found = chosen(stored, worth(0.9, lucky, {share: 0.8 for share in SHARES if share < 0.5}))
    assert (found.cascade_margin, found.trusted_share) == (0.7, 0.5)


def test_what_costs_too_much_at_its_largest_is_left_out(stored: StoredEnsemble) -> None:
    found = chosen(stored, worth(0.9, dict.fromkeys(MARGINS, 0.89), dict.fromkeys(SHARES, 0.89)))
    assert (found.cascade_margin, found.trusted_share) == (None, None)


def test_where_all_members_have_the_same_say_none_is_trusted_more(
    stored: StoredEnsemble,
) -> None:
    found = chosen(combined_by("mean", stored), worth(0.9, {}, {}))
    assert (found.cascade_margin, found.trusted_share) == (0.0, None)


@given(st.dictionaries(st.sampled_from(MARGINS), st.floats(0.8, 1.0)))
def test_what_is_chosen_never_costs_more_than_it_may(
    stored: StoredEnsemble, values: dict[float, float]
) -> None:
    found = chosen(stored, worth(0.9, values, {}))
    if found.cascade_margin is not None:
        larger = [margin for margin in MARGINS if margin >= found.cascade_margin]
        assert all(values.get(margin, 0.9) >= 0.9 - COST for margin in larger)


@pytest.mark.parametrize(
    ("section", "names"),
    [
        (ProfilesSection(), ["full", "full", "full"]),
        (ProfilesSection(cascade_margin=0.9), ["full", "cascade", "full", "full"]),
        (
            ProfilesSection(cascade_margin=0.9, trusted_share=0.5),
            ["full", "cascade", "trusted", "full", "full"],
        ),
    ],
)
def test_each_profile_there_is_and_each_step_of_a_brown_out_is_measured(
    stored: StoredEnsemble, section: ProfilesSection, names: list[str]
) -> None:
    found = profiles_to_measure(with_profiles(stored, section))
    assert [one.name for one in found] == names
    left_out = [0 if one.brown_out is None else one.brown_out.left_out for one in found]
    assert left_out[-2:] == [1, 2]
    assert not any(left_out[:-2])


def test_the_cost_that_help_names_is_the_one_that_is_used() -> None:
    assert command.COST == COST
