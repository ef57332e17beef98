"""Several labels and numbers, as transformers' pipeline gives them."""

from __future__ import annotations

import pytest

import streamproc
from streamproc.testing import build_tokenizer
from tests.support.onnx_models import classifier, write_ensemble


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> streamproc.Settings:
    """Of a folder with an ensemble of several labels, one of a number, and one of two numbers."""
    root, words = tmp_path_factory.mktemp("models"), build_tokenizer().vocabulary_size
    for name, kind, labels in (
        ("subjects", "multi_label_classification", ("refund", "delivery", "praise")),
        ("stars", "regression", ("stars",)),
        ("mood", "regression", ("valence", "arousal")),
    ):
        graphs = [classifier(words, len(labels), seed=seed) for seed in (1, 2)]
        manifest = write_ensemble(root / name, graphs, labels=labels)
        text = manifest.read_text("utf-8")
        manifest.write_text(text.replace("labels", f'problem_type = "{kind}"\nlabels', 1), "utf-8")
    return streamproc.Settings(models_dir=root, threads=1)


@pytest.mark.parametrize(("ensemble", "count"), [("subjects", 3), ("stars", 1), ("mood", 2)])
def test_a_pipeline_gives_every_output_the_largest_first(
    ensemble: str, count: int, settings: streamproc.Settings
) -> None:
    with streamproc.pipeline("text-classification", ensemble, settings=settings) as ask:
        (best,), found = ask("the good film"), ask("the good film", top_k=None)
        (response,) = ask.responses(["the good film"])

    scores = [one["score"] for one in found]
    assert len(found) == count
    assert scores == sorted(scores, reverse=True)
    assert best == found[0]
    result = response["result"]
    own = result.get("scores") or {
        name: one["value"] for name, one in result.get("values", {"stars": result}).items()
    }
    assert {one["label"]: one["score"] for one in found} == own
