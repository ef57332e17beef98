from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

pytest.importorskip("optimum")

from streamproc.errors import TrainingError
from streamproc.offline.corpus.partitioning import ByHash
from streamproc.offline.training import data
from streamproc.offline.training.ensemble import train_ensemble
from streamproc.offline.training.plan import TrainingPlan
from tests.support.training_plans import reviews, sentence_pairs, songs
from tests.support.trainings import changed

pytestmark = pytest.mark.train


def of_hash(plan: TrainingPlan, parts: int) -> TrainingPlan:
    return dataclasses.replace(plan, partitioning=ByHash(parts))


def learned(plan: TrainingPlan, part: str) -> list[str]:
    return [str(record) for record in data.of_member(plan, part)]


def test_members_learn_from_their_own_part_or_from_all_others(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    own = of_hash(reviews(corpus, base, tmp_path), 3)
    others = changed(own, learn_from="others")
    everything = sorted(map(str, data.full_corpus(own)))
    parts = [f"part-{number}-of-3" for number in (1, 2, 3)]
    assert all(learned(own, part) for part in parts)
    assert sorted(text for part in parts for text in learned(own, part)) == everything
    for part in parts:
        assert not set(learned(own, part)) & set(learned(others, part))
        assert sorted(learned(own, part) + learned(others, part)) == everything


def test_a_member_is_measured_by_texts_like_those_that_it_learned_from(tmp_path: Path) -> None:
    plan = songs(tmp_path)
    others = changed(plan, learn_from="others")
    assert list(data.validation(others, "a")) == list(data.validation(plan, "b"))
    assert len(data.validation(others)) == len(data.validation(plan, "a")) * 2


def test_others_of_a_single_part_are_none(tmp_path: Path) -> None:
    plan = changed(sentence_pairs(tmp_path), learn_from="others")
    with pytest.raises(TrainingError, match="has one part, 'part-1-of-1'"):
        train_ensemble(plan, lambda _: None)
