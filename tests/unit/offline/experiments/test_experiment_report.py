"""A report: which arm is better, what makes the figures mislead, and how all of it is shown."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image

from streamproc.cli.experiment_output import show_report
from streamproc.cli.terminal import TerminalConsole
from streamproc.errors import SettingsError
from streamproc.messages.experiment import Experiment
from streamproc.messages.experiment_split import answering_arm, unit_of
from streamproc.messages.exposure import NOT_SERVED, Exposure
from streamproc.offline.evaluation.plot_style import styled_figure
from streamproc.offline.experiments.pitfalls import arm_to_promote
from streamproc.offline.experiments.plots import _looks, experiment_plot
from streamproc.offline.experiments.report import ExperimentReport, as_html, as_json, tables_of
from streamproc.offline.experiments.results import ExperimentResult, looks_of, result_of
from tests.support.experiments import arm, experiment, exposure, feedback, observed

OWN = experiment(arm("1"), arm("2"))
LENGTHS = ("1-127", "512-2047")
Changes = Callable[[int, str], dict[str, Any]]


def exposures(own: Experiment, count: int, changes: Changes) -> Iterator[Exposure]:
    """So many requests, each by the arm that its key leads to."""
    for number in range(count):
        unit = unit_of(own, str(number).encode(), "")
        version = answering_arm(own, unit).version
        yield exposure(number, version, unit=unit, **changes(number, version))


def report_of(result: ExperimentResult) -> ExperimentReport:
    return ExperimentReport(result, "streamproc experiments report trial", "2026-12-01T00:00:00")


def trial(
    own: Experiment, shares: dict[str, float], count: int = 4_000, changes: Changes | None = None
) -> ExperimentResult:
    """Requests that arms answer right as often as `shares` say, all of whose truths are known."""
    random = np.random.default_rng(7)

    def label(number: int, version: str) -> dict[str, Any]:
        right = random.random() < shares[version]
        own_changes = changes(number, version) if changes else {}
        return {"label": "positive" if right else "negative", **own_changes}

    found = list(exposures(own, count, label))
    said = feedback(*({"id": str(number), "label": "positive"} for number in range(count)))
    return result_of(own, observed(own, found, said))


def test_the_better_arm_is_found() -> None:
    result = trial(OWN, {"1": 0.8, "2": 0.9})
    assert result.winner == OWN.arms[1]
    assert "tiny@2 is better by accuracy than the control tiny@1" in report_of(result).verdict
    assert report_of(result).warnings() == []


def test_where_all_others_are_worse_the_control_is_better() -> None:
    result = trial(OWN, {"1": 0.9, "2": 0.8})
    assert result.winner == OWN.control
    assert "tiny@1, the control, is better" in report_of(result).verdict


def test_arms_that_are_alike_are_not_told_apart() -> None:
    result = trial(OWN, {"1": 0.9, "2": 0.9})
    assert result.winner is None
    assert "not decided" in report_of(result).verdict


def test_of_several_better_arms_the_best_is_named_and_the_error_rate_is_shared() -> None:
    own = experiment(arm("1"), arm("2"), arm("3"))
    result = trial(own, {"1": 0.7, "2": 0.8, "3": 0.9}, count=6_000)
    assert result.winner == own.arms[2]
    assert "97.5 %" in " ".join(report_of(result).notes())


def test_without_feedback_it_is_said_that_there_is_none() -> None:
    result = result_of(OWN, observed(OWN, list(exposures(OWN, 300, lambda *_: {}))))
    assert "no feedback has come" in report_of(result).verdict
    assert result.winner is None


def test_errors_and_response_times_decide_where_they_are_to() -> None:
    def failing(number: int, version: str) -> dict[str, Any]:
        fails = version == "2" and number % 5 == 0
        return {"status": "error", "error": "failed"} if fails else {}

    own = experiment(decides="errors")
    result = result_of(own, observed(own, list(exposures(own, 2_000, failing))))
    assert result.winner == own.control

    def slow(number: int, version: str) -> dict[str, Any]:
        return {"total_ms": (10.0 if version == "2" else 14.0) + number % 9}

    own = experiment(decides="response-time")
    result = result_of(own, observed(own, list(exposures(own, 2_000, slow))))
    assert result.winner == own.arms[1]
    (difference,) = [one for one in as_json(report_of(result))["differences"] if one["is_decided"]]
    assert difference["outcome"] == "response-time"
    assert difference["stratified"]["value"] < 0


def test_a_shadow_is_compared_in_pairs_and_may_be_found_better() -> None:
    own = experiment(arm("1"), arm("2", 1, is_shadow=True))

    def both() -> Iterator[Exposure]:
        for number in range(1_000):
            wrong = number % 10 == 0
            yield exposure(number, "1", label="negative" if wrong else "positive")
            yield exposure(number, "2", is_shadow=True, label="positive", total_ms=500.0)

    said = feedback(*({"id": str(number), "label": "positive"} for number in range(1_000)))
    result = result_of(own, observed(own, list(both()), said))
    (comparison,) = result.comparisons
    assert comparison.stratified.value == pytest.approx(0.1)
    assert comparison.is_decided
    assert result.winner == own.arms[1]
    assert "tiny@2 (shadow) is better by accuracy" in report_of(result).verdict
    assert looks_of(result, own.arms[1])[-1].difference == comparison.stratified
    assert experiment_plot(report_of(result))[1].startswith(b"\x89PNG")
    assert result.arms[1].same_label == pytest.approx(0.9)
    assert any("asked in the bulk lane" in note for note in report_of(result).notes())


def test_shares_of_the_arms_that_are_not_those_of_the_weights_are_warned_of() -> None:
    def dropped(number: int, version: str) -> dict[str, Any]:
        return {"experiment": "lost"} if version == "2" and number % 3 == 0 else {}

    result = trial(OWN, {"1": 0.9, "2": 0.9}, changes=dropped)
    assert "Sample ratio mismatch: arms got" in report_of(result).warnings()[0]


def test_an_arm_that_is_better_by_what_can_not_be_trusted_is_not_promoted_by_itself() -> None:
    def dropped(number: int, version: str) -> dict[str, Any]:
        return {"experiment": "lost"} if version == "2" and number % 3 == 0 else {}

    assert arm_to_promote(trial(OWN, {"1": 0.8, "2": 0.9})) == OWN.arms[1]
    with pytest.raises(SettingsError, match="has not decided"):
        arm_to_promote(trial(OWN, {"1": 0.9, "2": 0.9}))
    mistaken = trial(OWN, {"1": 0.8, "2": 0.9}, changes=dropped)
    assert mistaken.winner == OWN.arms[1]
    with pytest.raises(SettingsError, match=r"Sample ratio mismatch: .* --arm promotes one"):
        arm_to_promote(mistaken)


def test_a_mismatch_in_one_stratum_alone_is_warned_of() -> None:
    def sorted_by_length(number: int, version: str) -> dict[str, Any]:
        is_long = number % 10 < (3 if version == "2" else 1)
        return {"length": "2048+" if is_long else "1-127"}

    result = trial(OWN, {"1": 0.9, "2": 0.9}, changes=sorted_by_length)
    assert any(
        "Sample ratio mismatch in interactive requests of 2048+ characters" in warning
        for warning in report_of(result).warnings()
    )


def test_a_difference_that_turns_round_within_strata_is_warned_of_and_the_second_counts() -> None:
    # The better arm gets most of what is hard.
    def hard(number: int, version: str) -> dict[str, Any]:
        is_hard = number % 10 < (9 if version == "2" else 1)
        share = (0.3 if is_hard else 0.8) + (0.1 if version == "2" else 0.0)
        right = np.random.default_rng(number).random() < share
        return {
            "length": "2048+" if is_hard else "1-127",
            "label": "positive" if right else "negative",
        }

    result = trial(OWN, {"1": 0.0, "2": 0.0}, changes=hard)
    said = " ".join(report_of(result).warnings())
    assert "Simpson's paradox: in accuracy, tiny@2 less the control is -0.3" in said
    assert result.winner == OWN.arms[1]


def test_truth_that_comes_for_one_arm_more_often_is_warned_of() -> None:
    found = list(exposures(OWN, 4_000, lambda *_: {}))
    known = [one for n, one in enumerate(found) if one.arm == "tiny@1" or n % 3 == 0]
    said = feedback(*({"id": one.id, "correct": True} for one in known))
    result = result_of(OWN, observed(OWN, found, said))
    assert any("who gives feedback depends on the arm" in w for w in report_of(result).warnings())


def test_truth_that_comes_for_one_arm_alone_is_warned_of() -> None:
    found = list(exposures(OWN, 4_000, lambda *_: {}))
    said = feedback(*({"id": one.id, "correct": True} for one in found if one.arm == "tiny@1"))
    report = report_of(result_of(OWN, observed(OWN, found, said)))
    assert "The truth is known of 100.0% and 0.0% of the arms' keys" in " ".join(report.warnings())
    assert report.verdict == "not decided: there is nothing of both arms to compare by accuracy"


def test_what_was_left_out_is_told() -> None:
    def unloaded(number: int, version: str) -> dict[str, Any]:
        is_first = version == "2" and number < 20
        return {"status": "error", "error": NOT_SERVED} if is_first else {}

    found = list(exposures(OWN, 400, unloaded))
    said = feedback({"id": "5000", "correct": True}, {"id": "1", "label": "positive"})
    seen = observed(OWN, [one.model_copy(update={"label": None}) for one in found], said)
    report = report_of(result_of(OWN, seen))
    told = " ".join([*report.warnings(), *report.notes()])
    assert re.search(r"\d+ requests of tiny@2 were answered by the control", told)
    assert "Feedback on 1 of 2 requests is about none" in told


def test_looks_lead_to_what_is_seen_now() -> None:
    result = trial(OWN, {"1": 0.8, "2": 0.9})
    looks = looks_of(result, OWN.arms[1])
    (decided, *_) = result.deciding()
    assert looks[-1].requests == 4_000
    assert looks[-1].difference == decided.stratified
    assert [look.requests for look in looks] == sorted({look.requests for look in looks})


def test_a_report_fits_a_terminal_of_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    own = experiment(arm("1"), arm("2"), arm("3", 0.2, is_shadow=True), decides="response-time")
    assert own.challengers == [own.arms[1]]
    result = trial(own, {"1": 0.8, "2": 0.9}, changes=lambda n, _: {"length": LENGTHS[n % 2]})
    report = report_of(result)
    show_report(report, TerminalConsole())
    shown = capsys.readouterr().out
    tables = re.findall(r"(?m)^(?:arm|tiny@\d(?: \(shadow\))?)  .*$", shown)
    assert len(tables) == 11
    assert max(map(len, tables)) <= 80
    assert shown.strip().endswith(f"{report.verdict}.")


@pytest.mark.parametrize("count", [0, 3, 2_000])
def test_a_report_is_json_a_page_and_a_picture_whatever_there_is(count: int) -> None:
    report = report_of(trial(OWN, {"1": 0.8, "2": 0.9}, count))
    made = orjson.loads(orjson.dumps(as_json(report)))
    assert made["verdict"] == report.verdict
    caption, png = experiment_plot(report)
    assert Image.open(io.BytesIO(png)).size[0] > 1000
    page = as_html(report, [(caption, png)])
    assert report.verdict in page
    assert "tiny@2" in page


def test_a_page_shows_names_as_text() -> None:
    own = experiment(by="<script>alert(1)</script>", routes=["<b>route</b>"])
    page = as_html(report_of(result_of(own, observed(own, []))), [])
    assert "<b>route" not in page


def test_every_arm_is_in_the_picture() -> None:
    own = experiment(*(arm(str(number)) for number in range(1, 10)))
    result = trial(own, {str(number): 0.5 for number in range(1, 10)}, count=1_000)
    with styled_figure(3.6) as figure:
        axes = figure.subplots()
        _looks(axes, report_of(result))
        drawn = axes.get_legend_handles_labels()[1]
    assert drawn == [one.name for one in own.arms[1:]]


def test_response_times_above_ten_seconds_are_written_out() -> None:
    report = report_of(trial(OWN, {"1": 0.8, "2": 0.9}, 300, lambda *_: {"total_ms": 12_345.6}))
    assert tables_of(report)[0].rows[0][6:] == ("12,346", "12,346")
