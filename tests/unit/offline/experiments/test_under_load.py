"""A load's figures of an experiment's arms, from simulated users to the experiment's report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamproc.errors import SettingsError
from streamproc.offline.experiments.report import ExperimentReport, as_html, as_json, tables_of
from streamproc.offline.experiments.results import result_of
from streamproc.offline.experiments.under_load import LoadOfArms, read_load
from streamproc.offline.load.arrivals import Even
from streamproc.offline.load.plan import LoadPlan, OpenLoop, run_plan
from streamproc.offline.load.recording import StepResult
from streamproc.offline.load.report import LoadReport
from streamproc.offline.load.report import as_json as load_as_json
from streamproc.offline.load.report import tables_of as load_tables_of
from streamproc.offline.load.stepping import Stepping
from tests.support.experiments import STARTED_MS, experiment, observed
from tests.support.simulated_server import MIX, TwoArms, step_times
from tests.support.virtual_time import LoopClock, in_virtual_time

OWN = experiment()
LATER = datetime.fromtimestamp(STARTED_MS / 1000 + 60, UTC).isoformat(timespec="seconds")


def sent(name: str = "trial") -> LoadReport:
    """Two steps, 20 s of 10 and of 20 requests a second, at arms of an experiment in turns."""
    stepping = Stepping(10.0, 2.0, most=2)
    plan = LoadPlan(OpenLoop(Even()), MIX, step_times(20.0), stepping, (), seed=1)
    # The second takes three times as long, and each tenth of its answers is an error.
    ask = TwoArms(name, ("tiny@1", "tiny@2"), 0.01, 0.03, fail_every=10)

    async def run() -> list[StepResult]:
        return [step async for step in run_plan(plan, ask, LoopClock())]

    return LoadReport(plan, in_virtual_time(run()), "Kafka", "streamproc load", LATER)


@pytest.fixture(scope="module")
def load() -> LoadReport:
    return sent()


def written(folder: Path, report: LoadReport, **changes: Any) -> Path:
    path = folder / "load.json"
    path.write_bytes(orjson.dumps({**load_as_json(report), **changes}))
    return path


def of_trial(path: Path) -> LoadOfArms:
    return read_load(path).of(OWN)


def test_a_load_has_latencies_and_errors_of_each_arm(load: LoadReport) -> None:
    (table,) = [one for one in load_tables_of(load) if one.title == "By arm"]

    assert [row[:3] for row in table.rows] == [
        ("10", "trial tiny@1", "100"),
        ("10", "trial tiny@2", "100"),
        ("20", "trial tiny@1", "200"),
        ("20", "trial tiny@2", "200"),
    ]
    assert [row[-1] for row in table.rows] == ["0.00 %", "10.00 %"] * 2


def test_an_experiments_report_shows_what_a_load_measured_of_its_arms(
    load: LoadReport, tmp_path: Path
) -> None:
    found = of_trial(written(tmp_path, load))
    result = result_of(OWN, observed(OWN, []))
    report = ExperimentReport(result, "streamproc experiments report", LATER, load=found)

    (table,) = [one for one in tables_of(report) if one.title == "Under load: load.json"]
    assert table.headings[0] == "requests/s"
    assert [row[:3] for row in table.rows] == [
        ("10", "tiny@1", "100"),
        ("10", "tiny@2", "100"),
        ("20", "tiny@1", "200"),
        ("20", "tiny@2", "200"),
    ]
    p50 = [float(row[3]) for row in table.rows]
    assert p50 == pytest.approx([10, 30, 10, 30], rel=0.01)
    assert table.rows[1][-1] == "10.00 %"
    assert any(note.startswith("Under load: open loop") for note in report.notes())
    made = orjson.loads(orjson.dumps(as_json(report)))
    assert made["load"]["command"] == "streamproc load"
    assert made["load"]["levels"][1]["arms"]["tiny@2"]["error_share"] == pytest.approx(0.1)
    assert "Under load: load.json" in as_html(report, [])
    assert as_json(replace(report, load=None))["load"] is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"steps": 3}', b"\xff"])
def test_what_is_no_report_of_a_load_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)

    with pytest.raises(SettingsError, match="is no report of `streamproc load --json`"):
        read_load(path)
    with pytest.raises(SettingsError, match="can't read"):
        read_load(tmp_path / "nothing")


def test_a_load_that_says_nothing_of_the_arms_is_refused(load: LoadReport, tmp_path: Path) -> None:
    other = written(tmp_path, sent("another"))
    with pytest.raises(SettingsError, match="no response was of an arm of trial"):
        of_trial(other)

    before = datetime.fromtimestamp(STARTED_MS / 1000 - 60, UTC).isoformat()
    with pytest.raises(SettingsError, match="before trial began"):
        of_trial(written(tmp_path, load, date=before))

    path = written(tmp_path, load)
    with pytest.raises(SettingsError, match="trial has no arm 'tiny@2'"):
        read_load(path).of(experiment(*OWN.arms[:1], OWN.arms[1].model_copy(update={"name": "x"})))
