"""Routes without Kafka ask ensembles of several labels, of numbers, and summarisers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamproc.clock import SystemClock
from streamproc.enrichment.catalogue import check_tasks
from streamproc.enrichment.route import Route, load_route
from streamproc.errors import TopicsError
from streamproc.settings import read_settings
from streamproc.testing import build_record, build_tokenizer
from streamproc.worker.local_routes import local_enricher
from tests.support.onnx_models import classifier, write_ensemble
from tests.support.small_ensembles import write_small_ensembles

LABELS = ("refund", "delivery", "praise")
ROUTE = """
kind: route
name: tickets
description: Tickets get their subjects, a number of stars and a summary.
from: {topics: [tickets.v1], format: json}
answers:
  - {name: subjects, task: text-classification, ensemble: subjects, text: /body, to: /subjects,
     keep: [labels, score, agreement], params: {threshold: 0.4}}
  - {name: stars, task: text-classification, ensemble: stars, text: /body, to: /stars,
     keep: [value, spread, agreement]}
  - {name: all, task: text-classification, ensemble: stars, text: /body, to: /all}
  - {name: short, task: summarization, ensemble: summarization, text: /body, to: /short,
     params: {max_length: 12}}
  - {name: parts, task: summarization, ensemble: summarization, text: /body, to: /parts,
     keep: [summary_text, chunks, coverage]}
to: {topic: tickets.enriched.v1}
meta: /run
dlq: tickets.dlq.v1
"""
BODY = "The parcel came late. Where is my money? " * 8


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    words = build_tokenizer().vocabulary_size
    for name, kind, labels in (
        ("subjects", "multi_label_classification", LABELS),
        ("stars", "regression", ("stars",)),
    ):
        graphs = [classifier(words, len(labels), seed=seed) for seed in (1, 2)]
        manifest = write_ensemble(root / name, graphs, labels=labels)
        text = manifest.read_text("utf-8")
        manifest.write_text(text.replace("labels", f'problem_type = "{kind}"\nlabels', 1), "utf-8")
    write_small_ensembles(root, ["summarization"])
    return root


def route_of(folder: Path, text: str = ROUTE) -> Route:
    file = folder / "tickets.yaml"
    file.write_text(text, "utf-8")
    route = load_route(file)
    check_tasks(route, file)
    return route


async def test_an_event_gets_labels_numbers_and_a_summary(models: Path, tmp_path: Path) -> None:
    settings = read_settings(models_dir=str(models), device="cpu", threads="1")
    async with local_enricher(settings, route_of(tmp_path), SystemClock()) as enricher:
        enriched = await enricher.enrich(build_record({"id": 1, "body": BODY}))

    assert enriched.value is not None
    event: dict[str, Any] = json.loads(enriched.value)
    assert set(event["subjects"]) == {"labels", "score", "agreement"}
    assert set(event["subjects"]["labels"]) <= set(LABELS)
    assert 0 <= event["subjects"]["agreement"] <= 1
    # Numbers have no agreement, and a route that wants it is told so.
    assert event["stars"] == {**event["all"], "agreement": None}
    assert set(event["all"]) == {"value", "spread"}
    assert event["all"]["spread"] > 0
    assert isinstance(event["short"], str)
    assert len(event["parts"]["chunks"]) == event["parts"]["coverage"]["chunks"] > 1
    assert all(state == "ok" for state in enriched.states.values())


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("keep: [value, spread, agreement]", "keep: [values, stars]", "no field 'stars'"),
        ("keep: [summary_text, chunks, coverage]", "keep: [summary]", "did you mean"),
        ("max_length: 12", "max_length: 1", r"params\.max_length"),
    ],
)
def test_what_a_result_does_not_have_is_refused_before_any_event(
    right: str, wrong: str, said: str, tmp_path: Path
) -> None:
    assert right in ROUTE
    with pytest.raises(TopicsError, match=said):
        route_of(tmp_path, ROUTE.replace(right, wrong))
