"""A whole run against simulated servers, as JSON, tables, page and picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest
from hdrh.histogram import HdrHistogram
from PIL import Image

from streamproc.cli.load_output import exit_code
from streamproc.errors import SettingsError
from streamproc.offline.load.arrivals import Arrival, Even, Replayed
from streamproc.offline.load.loops import Ask
from streamproc.offline.load.objectives import parse_objective
from streamproc.offline.load.plan import ClosedLoop, LoadPlan, Loop, OpenLoop, run_plan
from streamproc.offline.load.plots import load_plot
from streamproc.offline.load.recording import Reply, StepResult
from streamproc.offline.load.report import LoadReport, as_html, as_json, tables_of
from streamproc.offline.load.stepping import Stepping
from streamproc.offline.load.worker_use import WorkerUse
from streamproc.offline.pages.report_table import four_digits
from tests.support.simulated_server import MIX, VERSION, OneAtATime, step_times
from tests.support.virtual_time import LoopClock, in_virtual_time


def ran(
    ask: Ask, loop: Loop, stepping: Stepping, *until: str, duration_s: float = 10.0
) -> LoadReport:
    objectives = [parse_objective(one) for one in until]
    plan = LoadPlan(loop, MIX, step_times(duration_s), stepping, objectives, seed=1)

    async def run() -> Sequence[StepResult]:
        return [step async for step in run_plan(plan, ask, LoopClock())]

    return LoadReport(plan, in_virtual_time(run()), "Kafka", "streamproc load", "2030-01-01")


@pytest.fixture(scope="module")
def saturated() -> LoadReport:
    """A service that answers ten a second, and refuses every fiftieth."""
    report = ran(
        OneAtATime(0.1, fail_every=50),
        OpenLoop(Even()),
        Stepping(4.0, 2.0, most=12, refine=2),
        "p99<=300ms",
        "errors<=5%",
    )
    uses = [WorkerUse("one", 0.5, 400 << 20, None), WorkerUse("two", None, None, None)]
    return replace(report, steps=[replace(step, workers=uses) for step in report.steps])


def test_the_report_says_where_the_objective_broke(saturated: LoadReport) -> None:
    found = saturated.saturation

    assert found.kept is not None
    assert found.failed is not None
    assert 8 <= found.kept.level <= 10.3
    assert found.failed.level <= found.kept.level * 2 ** (1 / 4) * 1.001
    assert saturated.verdict.startswith("p99<=300ms and errors<=5%: kept up to ")
    assert "p99<=300ms broke at" in saturated.verdict


def test_the_json_holds_every_figure_and_histograms_that_others_can_merge(
    saturated: LoadReport,
) -> None:
    found = orjson.loads(orjson.dumps(as_json(saturated)))

    assert found["saturation"]["broken"] == ["p99<=300ms"]
    assert found["mix"] == {"text-classification": 1.0}
    first = found["steps"][0]
    assert (first["level"], first["asked"]) == (4.0, 40)
    assert first["answered"] + sum(first["errors"].values()) == 40
    assert first["workers"][0] == {
        "worker": "one",
        "cpu": 0.5,
        "resident_bytes": 400 << 20,
        "device_used_bytes": None,
    }
    assert list(first["versions"]) == [VERSION]
    decoded = HdrHistogram.decode(first["hdrhistogram"])
    assert decoded.get_total_count() == first["answered"]
    assert decoded.get_value_at_percentile(99) == pytest.approx(
        1000 * first["latency_ms"]["p99"], rel=0.002
    )


def test_tables_have_a_row_a_step_and_a_row_a_worker(saturated: LoadReport) -> None:
    tables = {table.title: table for table in tables_of(saturated)}

    assert len(tables["Steps"].rows) == len(saturated.steps)
    assert len(tables["Workers"].rows) == 2 * len(saturated.steps)
    assert tables["Workers"].rows[1][1:] == ("two", "–", "–", "–")
    assert all(len(row) == len(t.headings) for t in tables.values() for row in t.rows)


def test_the_page_shows_tables_and_picture_and_escapes_the_command(saturated: LoadReport) -> None:
    caption, png = load_plot(saturated)
    page = as_html(replace(saturated, command="load --texts '<b>'"), [(caption, png)])

    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert saturated.verdict.replace("<", "&lt;") in page
    assert "data:image/png;base64," in page
    picture = Image.open(io.BytesIO(png))
    assert picture.width > 1000
    assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 10


def test_users_are_whole_and_rise_by_one_at_least() -> None:
    report = ran(OneAtATime(0.05), ClosedLoop(1.0), Stepping(1, 1.1, most=4, whole=True))

    assert [step.level for step in report.steps] == [1.0, 2.0, 3.0, 4.0]
    assert report.verdict == ""
    assert any("closed loop" in note for note in report.notes())
    load_plot(report)


def test_where_the_first_step_breaks_an_objective_the_load_falls() -> None:
    report = ran(
        OneAtATime(0.1), OpenLoop(Even()), Stepping(40.0, 2.0, most=8, refine=0), "p99<=300ms"
    )

    assert [step.level for step in report.steps] == [40.0, 20.0, 10.0]
    assert report.saturation.kept is report.steps[-1]


def test_where_no_step_keeps_an_objective_it_is_said() -> None:
    report = ran(OneAtATime(0.1), OpenLoop(Even()), Stepping(4.0, 2.0, most=3), "p50<=1ms")

    assert report.saturation.kept is None
    assert "kept by no step; p50<=1ms broke at 1 requests/s" in report.verdict


def test_a_trace_is_played_to_its_end_at_every_rate() -> None:
    trace = Replayed([Arrival(float(second)) for second in range(11)])
    report = ran(
        OneAtATime(0.001), OpenLoop(trace), Stepping(1.0, 2.0, most=2), duration_s=float("inf")
    )

    assert [step.all.asked for step in report.steps] == [11, 11]
    assert [step.duration_s for step in report.steps] == pytest.approx([11.0, 5.5])
    orjson.dumps(as_json(report))


def test_a_trace_that_ends_within_the_warm_up_is_refused() -> None:
    loop = OpenLoop(Replayed([Arrival(0.0), Arrival(1.0)]))

    with pytest.raises(SettingsError, match="--warm-up-s"):
        loop.times(step_times(10.0, warm_up_s=5.0), 1.0)


def test_a_fault_of_our_own_ends_the_run_and_is_not_counted_as_an_answer() -> None:
    async def mistaken(_: object) -> Reply:
        await LoopClock().sleep(0.01)
        raise KeyError("a mistake")

    with pytest.raises(KeyError):
        ran(mistaken, OpenLoop(Even()), Stepping(10.0))
    with pytest.raises(ExceptionGroup):
        ran(mistaken, ClosedLoop(0.1), Stepping(2.0))


def test_a_step_in_which_no_request_was_due_is_told_and_no_success() -> None:
    report = ran(OneAtATime(0.1), ClosedLoop(1e6), Stepping(1, whole=True), duration_s=1.0)

    assert report.steps[0].all.asked == 0
    assert any("no request was due" in note for note in report.notes())
    assert exit_code(report) == 1
    load_plot(report)
    orjson.dumps(as_json(report))


def test_what_the_first_of_each_error_said_is_told() -> None:
    report = ran(OneAtATime(0.01, fail_every=10), OpenLoop(Even()), Stepping(5.0))

    assert "5 requests ended with failed; the first said: it fails: each so manieth" in list(
        report.notes()
    )
    assert exit_code(report) == 1


def test_users_who_think_beyond_the_end_of_a_step_do_not_hold_it_up() -> None:
    async def measured() -> float:
        began_s = LoopClock().monotonic_s()
        plan = LoadPlan(ClosedLoop(1e6), MIX, step_times(10.0), Stepping(3, whole=True), (), seed=1)
        async for _ in run_plan(plan, OneAtATime(0.1), LoopClock()):
            pass
        return LoopClock().monotonic_s() - began_s

    assert in_virtual_time(measured()) == pytest.approx(10.0)


def test_figures_of_tables_are_written_out_however_large_they_are() -> None:
    figures = (0.123456, 12.3456, 1_234.56, 9_999.7, 12_345.6)

    assert [four_digits(one) for one in figures] == ["0.1235", "12.35", "1,235", "10,000", "12,346"]
