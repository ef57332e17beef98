"""What makes a comparison of arms mislead: shares that are not those of the weights, Simpson's
paradox, truth that is known of one arm more than of another. A sentence each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streamproc.errors import SettingsError
from streamproc.messages.experiment import Arm
from streamproc.offline.experiments.confidence_sequence import MIN_UNITS
from streamproc.offline.experiments.observations import Observations
from streamproc.offline.experiments.results import ExperimentResult
from streamproc.offline.experiments.sample_ratio import MISMATCH_BELOW, sample_ratio_p
from streamproc.types import BoolArray


def warnings_of(result: ExperimentResult) -> list[str]:
    """All there are, those that make everything worthless in front."""
    return [
        *_ratios(result),
        *_truths(result),
        *_reversals(result),
        *_not_served(result),
        *_feedback(result.observations),
        *_few(result),
    ]


def arm_to_promote(result: ExperimentResult) -> Arm:
    """The arm that is better than the others.

    Raises SettingsError where that is not decided, or decided by what can't be trusted.
    """
    name = result.experiment.name
    if result.winner is None:
        raise SettingsError(
            f"experiment {name!r} has not decided which arm is better (`streamproc experiments "
            "report` says how it stands); --arm promotes one all the same"
        )
    if mismatch := _mismatch(result):
        raise SettingsError(f"experiment {name!r}: {mismatch} --arm promotes one all the same")
    return result.winner


def _mismatch(result: ExperimentResult) -> str | None:
    """Why no difference of the arms means anything; None: their shares are as they should be."""
    of_round = _of_round(result)
    p = _ratio_p(result, of_round)
    if p >= MISMATCH_BELOW:
        return None
    return (
        f"Sample ratio mismatch: arms got {_shares(result, of_round)} of the keys, which is "
        f"not what their weights say (p = {p:.1g}). Something else than chance decides who is "
        "in which arm, and no difference of theirs can be trusted until that is found."
    )


def _of_round(result: ExperimentResult) -> BoolArray:
    """What was seen since weights were changed last."""
    seen = result.observations
    if not len(seen):
        return seen.errors
    rounds = np.array([stratum.round for stratum in seen.names_of_strata], np.int64)
    return np.asarray(rounds[seen.strata] == result.experiment.round, np.bool_)


def _ratios(result: ExperimentResult) -> Iterator[str]:
    if mismatch := _mismatch(result):
        yield mismatch
        return
    seen, of_round = result.observations, _of_round(result)
    strata = np.unique(seen.strata[of_round])
    for number in strata:
        inside = of_round & np.asarray(seen.strata == number, np.bool_)
        p = _ratio_p(result, inside)
        if p < MISMATCH_BELOW / len(strata):
            stratum = seen.names_of_strata[number]
            yield (
                f"Sample ratio mismatch in {stratum.lane} requests of {stratum.length} "
                f"characters: arms got {_shares(result, inside)} of the keys (p = {p:.1g}). "
                "Compare within strata, and look for what sends such requests to one arm."
            )


def _ratio_p(result: ExperimentResult, rows: BoolArray) -> float:
    answering = result.experiment.answering
    return sample_ratio_p(_units(result, rows), [arm.weight for arm in answering])


def _units(result: ExperimentResult, rows: BoolArray) -> list[int]:
    seen, arms = result.observations, result.experiment.arms
    return [
        len(np.unique(seen.units[rows & (seen.arms == number)]))
        for number, arm in enumerate(arms)
        if not arm.is_shadow
    ]


def _shares(result: ExperimentResult, rows: BoolArray) -> str:
    counts = _units(result, rows)
    return " and ".join(f"{count / max(1, sum(counts)):.1%}" for count in counts)


def _truths(result: ExperimentResult) -> Iterator[str]:
    """Feedback that comes for one arm more often than for another says nothing of either."""
    seen = result.observations
    everyone = _units(result, np.ones(len(seen), np.bool_))
    known = _units(result, ~np.isnan(seen.values))
    if not any(known) or not all(everyone):
        return
    p = sample_ratio_p(known, everyone)
    if p < MISMATCH_BELOW:
        shares = [f"{part / whole:.1%}" for part, whole in zip(known, everyone, strict=True)]
        yield (
            f"The truth is known of {' and '.join(shares)} of the arms' keys (p = {p:.1g}): who "
            "gives feedback depends on the arm, so that accuracies can't be compared."
        )


def _reversals(result: ExperimentResult) -> Iterator[str]:
    for one in result.comparisons:
        plain, within = one.plain.value, one.stratified.value
        if plain * within < 0 and (one.plain.is_decided or one.is_decided):
            yield (
                f"Simpson's paradox: in {one.outcome}, {one.arm.name} less the control is "
                f"{plain:+.4f} over all requests and {within:+.4f} within lanes and lengths. The "
                "arms have other mixes of requests; the second figure counts."
            )
    decided = {one.arm.name: one for one in result.deciding() if one.is_decided}
    for stratum in result.strata:
        whole = decided.get(stratum.arm.name)
        part = stratum.difference
        if whole and part.is_decided and part.value * whole.stratified.value < 0:
            yield (
                f"{stratum.arm.name} does the opposite among {stratum.stratum.lane} requests of "
                f"{stratum.stratum.length} characters ({part.value:+.4f}) of what it does over "
                f"all ({whole.stratified.value:+.4f}): one version for all may be wrong for these."
            )


def _not_served(result: ExperimentResult) -> Iterator[str]:
    for one in result.arms:
        if one.not_served:
            yield (
                f"{one.not_served:,} requests of {one.arm.name} were answered by the control, as a "
                "worker could not load the arm; they are in no figure. `streamproc experiments "
                "list` says why."
            )


def _feedback(seen: Observations) -> Iterator[str]:
    said = seen.feedback
    if said.not_compared:
        yield (
            f"Feedback on {said.not_compared:,} requests names a label, which can't be compared "
            "with an answer that has none: say whether it is correct, or a score."
        )
    if said.unreadable:
        yield f"{said.unreadable:,} records of the topic of feedback are none."


def _few(result: ExperimentResult) -> Iterator[str]:
    if any(not one.stratified.is_enough for one in result.deciding()):
        yield f"Nothing is decided before each arm has {MIN_UNITS} keys."
