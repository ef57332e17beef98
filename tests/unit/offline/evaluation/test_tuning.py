"""Choosing how members are combined, by a scorer that a test knows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from streamproc.offline.evaluation.tuning import SHARPNESS, Candidate, Score, recalibrate, tune
from streamproc.repository.manifest import ConfidenceSection, GateSection, Manifest
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.serving.ensembling.confidence import Confidence
from tests.support.onnx_models import classifier, write_ensemble

GATE = GateSection(file="gate.npy", sha256="0" * 64, members=("m0", "m1"), sharpness=1.0)
ALL = ("mean", "logit_mean", "weighted", "gated", "vote")


def tuned(
    root: Path, score: Callable[[Manifest], Score], gate: GateSection | None = GATE
) -> list[Candidate]:
    write_ensemble(root / "tiny", [classifier(seed=seed) for seed in (1, 2)])
    stored = Repository(root).open("tiny")

    def scorer(candidates: list[StoredEnsemble]) -> list[Score]:
        return [score(one.manifest) for one in candidates]

    return list(tune(stored, scorer, ALL, gate))  # type: ignore[arg-type]


def test_of_ways_that_are_as_good_the_plain_mean_is_chosen(tmp_path: Path) -> None:
    *ways, chosen = tuned(tmp_path, lambda _: Score(0.5))

    assert [one.stored.manifest.combine.strategy for one in ways] == [
        "mean", "logit_mean", "vote", "weighted", "gated",
    ]  # fmt: skip
    assert chosen.stored.manifest.combine.strategy == "mean"
    assert chosen.stored.manifest.gate is None


def test_weights_move_to_where_the_scorer_is_pleased_most(tmp_path: Path) -> None:
    def score(manifest: Manifest) -> Score:
        return Score(1 - abs(manifest.members[0].weight - 0.75))

    *_, chosen = tuned(tmp_path, score)

    assert chosen.stored.manifest.combine.strategy == "weighted"
    weights = [member.weight for member in chosen.stored.manifest.members]
    assert weights == pytest.approx([0.75, 0.25])


def test_a_gate_is_tried_at_every_sharpness_and_over_both_weightings(tmp_path: Path) -> None:
    seen: list[tuple[float, float]] = []

    def score(manifest: Manifest) -> Score:
        weight = manifest.members[0].weight
        if manifest.combine.strategy != "gated" or manifest.gate is None:
            return Score(0.5, likelihood=-abs(weight - 0.9))
        seen.append((weight, manifest.gate.sharpness))
        return Score(0.6, likelihood=-abs(manifest.gate.sharpness - 8) - weight)

    *_, chosen = tuned(tmp_path, score)

    assert {sharpness for _, sharpness in seen} == set(SHARPNESS)
    assert {weight for weight, _ in seen} == {0.5, 0.9}
    manifest = chosen.stored.manifest
    assert manifest.combine.strategy == "gated"
    assert manifest.gate is not None
    assert manifest.gate.sharpness == 8
    assert manifest.members[0].weight == 0.5


def test_the_best_way_is_calibrated_by_likelihood_where_there_is_one(tmp_path: Path) -> None:
    def score(manifest: Manifest) -> Score:
        temperature = manifest.combine.temperature
        return Score(0.5, likelihood=-abs(temperature - 1.3), calibration=-abs(temperature - 0.7))

    *_, chosen = tuned(tmp_path, score)

    assert chosen.stored.manifest.combine.temperature == pytest.approx(1.3, abs=0.1)


def test_and_else_by_its_calibration_error(tmp_path: Path) -> None:
    def score(manifest: Manifest) -> Score:
        return Score(0.5, calibration=-abs(manifest.combine.temperature - 0.7))

    *_, chosen = tuned(tmp_path, score)

    assert chosen.stored.manifest.combine.temperature == pytest.approx(0.7, abs=0.1)


def test_of_entities_the_aggregation_is_chosen_before_the_temperature(tmp_path: Path) -> None:
    write_ensemble(tmp_path / "tiny", [classifier()])
    stored = Repository(tmp_path).open("tiny")
    tagging = stored.manifest.model_copy(update={"task": "token-classification"})

    def scorer(candidates: Sequence[StoredEnsemble]) -> list[Score]:
        scores = []
        for one in candidates:
            how, temperature = one.manifest.defaults.aggregation, one.manifest.combine.temperature
            scores.append(Score(0.6 if how == "first" else 0.5, calibration=-abs(temperature - 2)))
        return scores

    *_, chosen = tune(replace(stored, manifest=tagging), scorer, ALL, None)  # type: ignore[arg-type]

    assert chosen.stored.manifest.defaults.aggregation == "first"
    assert chosen.stored.manifest.combine.temperature == pytest.approx(2, abs=0.2)


def test_a_temperature_costs_nothing_that_counts_of_the_first_measure(tmp_path: Path) -> None:
    def score(manifest: Manifest) -> Score:
        temperature = manifest.combine.temperature
        return Score(0.5 if temperature >= 1 else 0.4, calibration=-abs(temperature - 0.7))

    *_, chosen = tuned(tmp_path, score)

    assert chosen.stored.manifest.combine.temperature == 1


def test_it_may_turn_a_few_answers(tmp_path: Path) -> None:
    def score(manifest: Manifest) -> Score:
        temperature = manifest.combine.temperature
        return Score(0.5 - (temperature != 1) / 1000, calibration=-abs(temperature - 2))

    *_, chosen = tuned(tmp_path, score)

    assert chosen.stored.manifest.combine.temperature == pytest.approx(2, abs=0.2)


def test_what_was_fitted_before_does_not_count(tmp_path: Path) -> None:
    first = tuned(tmp_path / "a", lambda manifest: Score(manifest.members[0].weight))[-1]
    assert first.stored.manifest.members[0].weight > 0.9

    again = list(tune(first.stored, lambda them: [Score(0.5) for _ in them], ALL, None))  # type: ignore[arg-type]

    assert again[-1].stored.manifest.combine.strategy == "mean"


def asking_for(confidence: Confidence) -> Callable[[Manifest], Score]:
    """Scores that are not as often right as they say until they have this confidence."""

    def score(manifest: Manifest) -> Score:
        has = Confidence(**manifest.confidence.model_dump())
        if has == confidence:
            return Score(0.5, calibration=-0.01)
        return Score(0.5, calibration=-0.2, confidence=confidence)

    return score


def test_scores_of_spans_get_the_confidence_that_is_fitted_to_them(tmp_path: Path) -> None:
    confidence = Confidence(0.5, 0.25)

    *_, before, chosen = tuned(tmp_path, asking_for(confidence))

    assert before.stored.manifest.confidence == ConfidenceSection()
    assert chosen.stored.manifest.confidence == ConfidenceSection(slope=0.5, offset=0.25)
    assert chosen.score.calibration == -0.01


def test_calibrated_anew_members_are_combined_as_before(tmp_path: Path) -> None:
    first = tuned(tmp_path, lambda manifest: Score(manifest.members[0].weight))[-1].stored
    score = asking_for(Confidence(2.0, -1.0))

    before, chosen = recalibrate(first, lambda them: [score(one.manifest) for one in them])

    assert before.stored is first
    changed = {"confidence": ConfidenceSection(slope=2.0, offset=-1.0)}
    assert chosen.stored.manifest == first.manifest.model_copy(update=changed)


def test_what_has_no_calibration_is_left_as_it_is(tmp_path: Path) -> None:
    first = tuned(tmp_path, lambda manifest: Score(manifest.members[0].weight))[-1].stored

    *_, chosen = recalibrate(first, lambda them: [Score(0.5) for _ in them])

    assert chosen.stored is first


def test_a_measure_that_is_undefined_does_not_keep_weights_moving(tmp_path: Path) -> None:
    asked = 0

    def score(_: Manifest) -> Score:
        nonlocal asked
        asked += 1
        assert asked < 1000
        return Score(math.nan)

    *_, chosen = tuned(tmp_path, score)

    assert chosen.stored.manifest.combine.strategy == "mean"
