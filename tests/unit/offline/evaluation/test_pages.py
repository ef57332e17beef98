from __future__ import annotations

import io
import re
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamproc.cli.eval_output import Files
from streamproc.errors import OperatorError
from streamproc.offline.evaluation.candidates import contenders
from streamproc.offline.evaluation.comparison import compare
from streamproc.offline.evaluation.eval_result import Agreement, EvalResult, EvalRun
from streamproc.offline.evaluation.groups import Grouping
from streamproc.offline.evaluation.measures import (
    CALIBRATION,
    Measure,
    calibration_statistics,
    ratio,
)
from streamproc.offline.evaluation.page import as_html
from streamproc.offline.evaluation.plots import plots_of
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.reliability import Reliability
from streamproc.repository.repository import Repository
from streamproc.serving.tasks.catalogue import task_named
from tests.support.onnx_models import classifier, write_ensemble

RECORDS = 60
ACCURACY = Measure("accuracy", ratio)
MADE = Provenance(
    data=("set/<test>.jsonl",),
    digests=("f" * 64,),
    of=RECORDS,
    unit="records",
    timed="requests",
    judged="texts",
    device="cpu",
    draws=40,
    seed=0,
    version="1.2.3",
    command="streamproc evaluate tiny --label '<b>=x'",
)


def findings(root: Path, members: int = 3, known: float = 1.0) -> EvalResult:
    """known: 0 makes every figure undefined"""
    write_ensemble(root / "tiny", [classifier(seed=seed) for seed in range(members)])
    random = np.random.default_rng(1)
    marks = []
    for one in contenders(Repository(root).open("tiny"), task_named("text-classification")):
        confidence = random.uniform(0.5, 1, RECORDS)
        right = random.uniform(size=RECORDS) < confidence
        counted = np.stack((known * right, np.full(RECORDS, known)), axis=1)
        calibration = calibration_statistics(confidence, right) * known
        agreement = random.choice([1 / 3, 2 / 3, 1], RECORDS)
        own = Agreement.on_records(ACCURACY, agreement, counted)
        marks.append(EvalRun(one, [counted, calibration], 1.0, RECORDS, agreement=own))
    grouping = Grouping("kind", ("book", "<film>"), np.arange(RECORDS) % 2)
    return compare([ACCURACY, CALIBRATION], marks, grouping, draws=40)


def test_reliability_is_the_share_right_of_each_bin_that_holds_anything() -> None:
    confidence, right = np.array([0.95, 0.97, 0.5]), np.array([True, False, True])
    found = Reliability.of(calibration_statistics(confidence, right))
    assert found.count.tolist() == [1, 2]
    assert found.confidence == pytest.approx([0.5, 0.96])
    assert found.right == pytest.approx([1, 0.5])


def test_every_plot_is_a_small_png_of_one_width_the_same_each_time(tmp_path: Path) -> None:
    found = findings(tmp_path)
    plots = list(plots_of(found, MADE))
    assert [plot.topic for plot in plots] == ["measures", "calibration", "agreement", "groups"]
    assert plots == list(plots_of(found, MADE))
    pictures = [Image.open(io.BytesIO(plot.png)) for plot in plots]
    assert len({picture.width for picture in pictures}) == 1
    assert sum(len(plot.png) for plot in plots) < 120 << 10


def test_a_single_member_has_nothing_to_agree_with(tmp_path: Path) -> None:
    topics = [plot.topic for plot in plots_of(findings(tmp_path, members=1), MADE)]
    assert topics == ["measures", "calibration", "groups"]


def test_figures_that_are_undefined_leave_gaps(tmp_path: Path) -> None:
    assert len(list(plots_of(findings(tmp_path, known=0.0), MADE))) == 4


def test_the_page_holds_all_and_refers_to_nothing_outside(tmp_path: Path) -> None:
    found = findings(tmp_path)
    page = as_html(found, MADE, list(plots_of(found, MADE)), date(2026, 11, 25))
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r'(src|href)="(?!data:)', page)
    for told in ("2026-11-25", "f" * 64, found.rows[0].contender.stored.digest):
        assert told in page
    # What data and commands say is text, whatever it looks like.
    assert "set/&lt;test&gt;.jsonl" in page
    assert "&lt;film&gt;" in page
    assert "<b>" not in page
    assert "<film>" not in page


@pytest.mark.parametrize(
    ("files", "library"),
    [
        (Files(html=Path("page.html")), "matplotlib"),
        (Files(plots=Path("plots")), "matplotlib"),
        (Files(html=Path("page.html")), "jinja2"),
    ],
)
def test_what_draws_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, files: Files, library: str
) -> None:
    Files(json=Path("figures.json"), markdown=Path("report.md")).require_drawing()
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(OperatorError, match=rf"{library}.*install streamproc\[evaluate\]"):
        files.require_drawing()
