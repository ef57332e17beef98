from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamproc.errors import EvaluationError
from streamproc.offline.evaluation.comparison import compare
from streamproc.offline.evaluation.eval_metrics import Metric, ratio
from streamproc.offline.evaluation.groups import Grouping
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.report import as_json, as_markdown
from streamproc.offline.evaluation.results import AGREEMENT, Agreement, EvalRun, ResultRow
from streamproc.offline.evaluation.systems import System, single_member, systems_to_compare
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.serving.tasks.catalogue import task_named
from streamproc.types import FloatArray
from tests.support.onnx_models import classifier, write_ensemble

ACCURACY = Metric("accuracy", ratio)
LOSS = Metric("loss", ratio, higher_is_better=False, per_cent=False)
TASK = task_named("text-classification")


def stored(root: Path, name: str = "tiny", members: int = 3) -> StoredEnsemble:
    write_ensemble(root / name, [classifier(seed=seed) for seed in range(members)])
    return Repository(root).open(name)


def shares(*reached: float) -> FloatArray:
    return np.array([(one, 1.0) for one in reached])


def test_an_ensemble_is_set_beside_its_members_and_the_other_ways(tmp_path: Path) -> None:
    found = systems_to_compare(stored(tmp_path), TASK, [stored(tmp_path, "whole", members=1)])
    # Members weigh the same here, so that weighted would be the mean again.
    assert [(one.role, one.name) for one in found] == [
        ("ensemble", "tiny"),
        *(("member", f"m{number}") for number in range(3)),
        *(("strategy", strategy) for strategy in ("logit_mean", "vote")),
        ("other", "whole"),
    ]


def test_weights_that_differ_are_a_way_of_their_own(tmp_path: Path) -> None:
    ensemble = stored(tmp_path)
    first, *others = ensemble.manifest.members
    members = (first.model_copy(update={"weight": 2.0}), *others)
    manifest = ensemble.manifest.model_copy(update={"members": members})
    found = systems_to_compare(replace(ensemble, manifest=manifest), TASK)
    assert "weighted" in [one.name for one in found]


def test_a_single_member_is_set_beside_nothing(tmp_path: Path) -> None:
    assert [one.role for one in systems_to_compare(stored(tmp_path, members=1), TASK)] == [
        "ensemble"
    ]


def test_a_member_alone_needs_no_other(tmp_path: Path) -> None:
    ensemble = stored(tmp_path)
    manifest = ensemble.manifest.model_copy(update={"quorum": 2})
    only = single_member(replace(ensemble, manifest=manifest), "m1").manifest
    assert [member.name for member in only.members] == ["m1"]
    assert only.needed_members == 1


def test_another_task_is_not_set_beside(tmp_path: Path) -> None:
    write_ensemble(tmp_path / "tags", [classifier(per_token=True)], task="token-classification")
    with pytest.raises(EvaluationError, match="tags is for token-classification"):
        systems_to_compare(stored(tmp_path), TASK, [Repository(tmp_path).open("tags")])


@pytest.mark.parametrize("others", [["tiny"], ["whole", "whole"]])
def test_an_ensemble_is_measured_once(tmp_path: Path, others: list[str]) -> None:
    ensemble = stored(tmp_path)
    beside = [stored(tmp_path, name) for name in others]
    with pytest.raises(EvaluationError, match=f"{others[-1]} is measured already"):
        systems_to_compare(ensemble, TASK, beside)


def test_the_ensemble_is_told_apart_from_the_best_member_of_each_measure(tmp_path: Path) -> None:
    ensemble, *members = systems_to_compare(stored(tmp_path, members=2), TASK)[:3]
    accuracy = shares(1, 1, 1, 0), shares(1, 0, 0, 0), shares(1, 1, 0, 0)
    loss = shares(1, 1, 1, 1), shares(2, 2, 2, 2), shares(4, 4, 4, 4)
    runs = [
        EvalRun(one, [own, lost], seconds=0.5, requests=4)
        for one, own, lost in zip([ensemble, *members], accuracy, loss, strict=True)
    ]
    found = compare([ACCURACY, LOSS], runs, draws=200)
    differences = found.select(differences=True)
    best, mean = differences[:2], differences[2:]
    assert {row.minus for row in best} == {"best member"}
    assert {row.minus for row in mean} == {"mean member"}
    assert [row.minus_system for row in best] == ["m1", "m0"]
    assert [row.estimate.value for row in best] == pytest.approx([0.25, -1])
    assert [row.estimate.value for row in mean] == pytest.approx([0.75 - 0.375, -2])
    # Losses are the same for every record, so no draw can tell otherwise.
    assert best[1].estimate.low == best[1].estimate.high == -1
    assert best[1].estimate.excludes_zero
    assert found.runs[0].seconds_per_1000 == 125


def test_what_draws_share_does_not_widen_a_difference(tmp_path: Path) -> None:
    ensemble, *members = systems_to_compare(stored(tmp_path, members=2), TASK)[:3]
    # Records are worth from 0 to 9; the ensemble has one more on each.
    own = np.arange(10.0)
    runs = [
        EvalRun(one, [shares(*(own + plus))], 1.0, 10)
        for one, plus in zip([ensemble, *members], (1, 0, 0), strict=True)
    ]
    found = compare([LOSS], runs, draws=200)
    estimate = found.select()[0].estimate
    assert estimate.high - estimate.low > 1
    difference = found.select(differences=True)[0].estimate
    assert (difference.low, difference.high) == pytest.approx((1, 1))


def grouped_by(ensemble: System, agreement: FloatArray, statistics: FloatArray) -> list[ResultRow]:
    own = Agreement.on_records(ACCURACY, agreement, statistics)
    runs = EvalRun(ensemble, [statistics], 1.0, len(statistics), agreement=own)
    results = compare([ACCURACY], [runs], draws=20)
    assert results.items == "records"
    return results.select(AGREEMENT)


def test_records_are_grouped_by_agreement(tmp_path: Path) -> None:
    ensemble = systems_to_compare(stored(tmp_path), TASK)[0]
    agreement = np.array([1, 2 / 3, 1, np.nan, 2 / 3])
    groups = grouped_by(ensemble, agreement, shares(1, 0, 0, 0, 0))
    assert [(row.group, row.n, row.estimate.value) for row in groups] == [
        ("67 %", 2, 0),
        ("100 %", 2, 0.5),
    ]


def test_agreement_of_many_values_is_grouped_in_steps_that_lose_no_record(tmp_path: Path) -> None:
    ensemble = systems_to_compare(stored(tmp_path), TASK)[0]
    agreement = np.append(np.linspace(0, 1, 40), 1.0)
    groups = grouped_by(ensemble, agreement, shares(*np.ones(41)))
    assert sum(row.n for row in groups) == 41
    assert groups[0].group == "0 to 50 %"
    assert groups[-1].group == "100 %"
    assert groups[-1].n == 2


def test_a_single_record_has_no_interval(tmp_path: Path) -> None:
    ensemble = systems_to_compare(stored(tmp_path), TASK)[0]
    few, many = grouped_by(ensemble, np.array([0.5, 1, 1]), shares(1, 1, 0))
    assert np.isnan([few.estimate.low, few.estimate.high]).all()
    assert many.estimate.low < many.estimate.high


def test_parts_of_a_record_are_drawn_together(tmp_path: Path) -> None:
    ensemble = systems_to_compare(stored(tmp_path), TASK)[0]
    # Two records of 50 parts, all right and all wrong: drawn part by part, few draws would be far
    # from a half; drawn as records, half of all draws are of one record alone.
    own = Agreement(
        "parts", ACCURACY, np.ones(100), shares(*[1] * 50, *[0] * 50), np.repeat([0, 1], 50)
    )
    runs = EvalRun(ensemble, [shares(1, 0)], 1.0, 2, agreement=own)
    results = compare([ACCURACY], [runs], draws=100)
    assert results.items == "parts"
    (group,) = results.select(AGREEMENT)
    assert (group.n, group.estimate.value) == (100, 0.5)
    assert (group.estimate.low, group.estimate.high) == (0, 1)


def test_groups_are_measured_by_themselves(tmp_path: Path) -> None:
    ensemble, *members = systems_to_compare(stored(tmp_path, members=2), TASK)[:3]
    grouping = Grouping("kind", ("book", "film"), np.array([0, 1, 0, 1]))
    runs = [
        EvalRun(one, [shares(*own)], 1.0, 4)
        for one, own in zip(
            [ensemble, *members], ((1, 0, 1, 1), (1, 1, 0, 0), (0, 1, 0, 1)), strict=True
        )
    ]
    results = compare([ACCURACY], runs, grouping, draws=100)
    rows = results.select("kind")
    book, film = ([row for row in rows if row.group == name] for name in grouping.names)
    assert [row.estimate.value for row in book] == [1, 0.5, 0]
    assert [row.estimate.value for row in film] == [0.5, 0.5, 1]
    assert (book[0].estimate.low, book[0].estimate.high) == (1, 1)
    # The best member is another in each.
    differences = results.select("kind", differences=True)
    assert [(row.group, row.minus_system) for row in differences if row.minus == "best member"] == [
        ("book", "m0"),
        ("film", "m1"),
    ]
    lines = as_markdown(results, provenance()).splitlines()
    assert "| accuracy by kind | records | tiny, mean of 2 | member m0 | member m1 |" in lines
    assert any(
        line.startswith("| book | 2 | **100.0 (100.0 to 100.0)** | 50.0 (") for line in lines
    )
    assert any(line.startswith("| film | m1: -50.0 (") for line in lines)


def test_the_same_runs_make_the_same_words(tmp_path: Path) -> None:
    competing = systems_to_compare(stored(tmp_path, members=2), TASK)
    own = shares(*(np.arange(40) % 3 == 0))
    grouping = Grouping("kind", ("book", "film"), np.arange(40) % 2)
    texts = {
        as_markdown(
            compare([ACCURACY], [EvalRun(one, [own], 1.0, 40) for one in competing], grouping),
            provenance(),
        )
        for _ in range(2)
    }
    assert len(texts) == 1


def provenance(**changes: object) -> Provenance:
    known = Provenance(
        data=("set/test.jsonl",),
        digests=("f" * 64,),
        of=4,
        unit="records",
        timed="requests",
        confidence_of="texts",
        device="cpu",
        draws=20,
        seed=0,
        version="1.2.3",
        command="streamproc evaluate tiny",
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def test_the_section_says_what_was_measured_and_how(tmp_path: Path) -> None:
    runs = [
        EvalRun(one, [shares(1, 1, 0, 0)], 2.0, 4, errors=int(one.role == "member"))
        for one in systems_to_compare(stored(tmp_path, members=2), TASK)
    ]
    section = as_markdown(compare([ACCURACY], runs, draws=20), provenance(of=1000))
    lines = section.splitlines()
    assert lines[0] == "|  | accuracy | s / 1,000 requests |"
    assert lines[2].startswith("| **tiny, mean of 2** | **50.0 (")
    assert any(line.startswith("| member m0 | 50.0 (") for line in lines)
    assert "| mean member | +0.0 (+0.0 to +0.0) |" in lines
    assert "member m0: 1 requests were refused" in section
    assert lines[-1].startswith("4 records, spread evenly over the 1,000 of set/test.jsonl; 95%")
    assert lines[-1].endswith("`streamproc evaluate tiny`")


def test_a_group_of_several_lines_is_one_row(tmp_path: Path) -> None:
    runs = [
        EvalRun(one, [shares(1, 1, 0, 0)], 2.0, 4)
        for one in systems_to_compare(stored(tmp_path, members=1), TASK)
    ]
    grouping = Grouping("kind|sort", ("two\nlines", "a|b"), np.array([0, 0, 1, 1]))
    section = as_markdown(compare([ACCURACY], runs, grouping, draws=20), provenance())
    *_, heading, _, two, bar, _, _ = section.splitlines()
    assert heading.startswith("| accuracy by kind\\|sort | records |")
    assert two.startswith(r"| two\nlines | 2 | **100.0 (")
    assert bar.startswith(r"| a\|b | 2 | **0.0 (")


def test_what_is_undefined_is_null(tmp_path: Path) -> None:
    ensemble = systems_to_compare(stored(tmp_path), TASK)[0]
    results = compare([ACCURACY], [EvalRun(ensemble, [np.zeros((4, 2))], 1.0, 4)], draws=20)
    (row,) = as_json(results, provenance())["results"]
    assert row["metric"] == "accuracy"
    assert (row["value"], row["low"], row["high"]) == (None, None, None)
    assert "– (– to –)" in as_markdown(results, provenance())
