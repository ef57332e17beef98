from __future__ import annotations

import io
import re
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamproc.cli.eval_output import OutputFiles
from streamproc.errors import OperatorError
from streamproc.offline.evaluation.comparison import compare
from streamproc.offline.evaluation.eval_metrics import (
    CALIBRATION,
    Metric,
    calibration_statistics,
    ratio,
)
from streamproc.offline.evaluation.groups import Grouping
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.reliability import Reliability
from streamproc.offline.evaluation.report import as_html
from streamproc.offline.evaluation.result_plots import plots_of
from streamproc.offline.evaluation.results import Agreement, EvalResults, EvalRun
from streamproc.offline.evaluation.systems import systems_to_compare
from streamproc.repository.repository import Repository
from streamproc.serving.tasks.catalogue import task_named
from tests.support.onnx_models import classifier, write_ensemble

RECORDS = 60
ACCURACY = Metric("accuracy", ratio)
PROVENANCE = Provenance(
    data=("set/<test>.jsonl",),
    digests=("f" * 64,),
    of=RECORDS,
    unit="records",
    timed="requests",
    confidence_of="texts",
    device="cpu",
    draws=40,
    seed=0,
    version="1.2.3",
    command="streamproc evaluate tiny --label '<b>=x'",
)


def results(
    root: Path, members: int = 3, known: float = 1.0, kinds: tuple[str, str] = ("book", "<film>")
) -> EvalResults:
    """known: 0 makes every figure undefined"""
    write_ensemble(root / "tiny", [classifier(seed=seed) for seed in range(members)])
    random = np.random.default_rng(1)
    runs = []
    for one in systems_to_compare(Repository(root).open("tiny"), task_named("text-classification")):
        confidence = random.uniform(0.5, 1, RECORDS)
        right = random.uniform(size=RECORDS) < confidence
        counted = np.stack((known * right, np.full(RECORDS, known)), axis=1)
        calibration = calibration_statistics(confidence, right) * known
        agreement = random.choice([1 / 3, 2 / 3, 1], RECORDS)
        own = Agreement.on_records(ACCURACY, agreement, counted)
        runs.append(EvalRun(one, [counted, calibration], 1.0, RECORDS, agreement=own))
    grouping = Grouping("kind", kinds, np.arange(RECORDS) % 2)
    return compare([ACCURACY, CALIBRATION], runs, grouping, draws=40)


def test_reliability_is_the_share_right_of_each_bin_that_holds_anything() -> None:
    confidence, right = np.array([0.95, 0.97, 0.5]), np.array([True, False, True])
    found = Reliability.of(calibration_statistics(confidence, right))
    assert found.count.tolist() == [1, 2]
    assert found.confidence == pytest.approx([0.5, 0.96])
    assert found.right == pytest.approx([1, 0.5])


def test_every_plot_is_a_small_png_of_one_width_the_same_each_time(tmp_path: Path) -> None:
    found = results(tmp_path)
    plots = list(plots_of(found, PROVENANCE))
    assert [plot.section for plot in plots] == ["measures", "calibration", "agreement", "groups"]
    assert plots == list(plots_of(found, PROVENANCE))
    pictures = [Image.open(io.BytesIO(plot.png)) for plot in plots]
    assert len({picture.width for picture in pictures}) == 1
    assert sum(len(plot.png) for plot in plots) < 120 << 10
    # On each something of the ensemble is drawn, in its blue.
    for picture in pictures:
        pixels = np.asarray(picture.convert("RGB"), np.int64)
        assert np.abs(pixels - np.array([0x00, 0x72, 0xB2])).max(axis=-1).min() < 16


def test_a_single_member_has_nothing_to_agree_with(tmp_path: Path) -> None:
    sections = [plot.section for plot in plots_of(results(tmp_path, members=1), PROVENANCE)]
    assert sections == ["measures", "calibration", "groups"]


def test_figures_that_are_undefined_leave_gaps(tmp_path: Path) -> None:
    assert len(list(plots_of(results(tmp_path, known=0.0), PROVENANCE))) == 4


def test_a_group_that_looks_like_a_formula_is_a_name(tmp_path: Path) -> None:
    # As a formula the one would be an error, and the other lose its signs.
    found = results(tmp_path, kinds=(r"$\foo$", "$5 to $10"))
    assert len(list(plots_of(found, PROVENANCE))) == 4


def test_the_page_holds_all_and_refers_to_nothing_outside(tmp_path: Path) -> None:
    found = results(tmp_path)
    page = as_html(found, PROVENANCE, list(plots_of(found, PROVENANCE)), date(2026, 11, 25))
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r'(src|href)="(?!data:)', page)
    for told in ("2026-11-25", "f" * 64, found.runs[0].system.stored.digest):
        assert told in page
    # What data and commands say is text, whatever it looks like.
    assert "set/&lt;test&gt;.jsonl" in page
    assert "&lt;film&gt;" in page
    assert "<b>" not in page
    assert "<film>" not in page


@pytest.mark.parametrize(
    ("files", "library"),
    [
        (OutputFiles(html=Path("page.html")), "matplotlib"),
        (OutputFiles(plots=Path("plots")), "matplotlib"),
        (OutputFiles(html=Path("page.html")), "jinja2"),
    ],
)
def test_what_draws_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, files: OutputFiles, library: str
) -> None:
    OutputFiles(json=Path("figures.json"), markdown=Path("report.md")).require_libraries()
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(OperatorError, match=rf'{library}.*pip install "streamproc\[evaluate\]"'):
        files.require_libraries()
