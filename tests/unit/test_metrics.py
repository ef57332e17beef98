from __future__ import annotations

from pathlib import Path

from streamproc.metrics import Metrics

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def test_every_metric_is_documented_with_its_labels() -> None:
    rows = [
        line.split("|")
        for line in OPERATIONS.read_text("utf-8").splitlines()
        if "`streamproc_" in line
    ]
    documented = {
        (name.strip(" `"), tuple(label.strip() for label in row[2].split(",") if label.strip()))
        for row in rows
        if len(row) > 3
        for name in row[1].split(",")
    }
    metrics = Metrics()
    declared = {
        (described.name + ("_total" if described.type == "counter" else ""), labels(metric))
        for metric in vars(metrics).values()
        if metric not in (metrics.registry, metrics.process)
        for described in metric.describe()
    }

    assert declared <= documented
    assert {name for name, _ in documented} == {name for name, _ in declared}


def labels(metric: object) -> tuple[str, ...]:
    return tuple(metric._labelnames)  # type: ignore[attr-defined]
