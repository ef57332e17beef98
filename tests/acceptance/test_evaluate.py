"""`streamproc evaluate` over ensembles of small graphs, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamproc.testing.generative import build_byte_tokenizer, byte_tokenizer_json
from tests.support.command import streamproc
from tests.support.labelled_rows import ENTITIES, QUESTION, written
from tests.support.onnx_models import classifier, write_ensemble
from tests.support.small_ensembles import write_small_ensembles

ROWS: dict[str, list[dict[str, Any]]] = {
    "entities": ENTITIES,
    "question-answering": [
        QUESTION,
        {
            "question": "bad?",
            "context": "the film",
            "answers": {"text": [], "answer_start": []},
        },
    ],
    "translation-en-de": [
        {"src": "good film", "tgt": "guter Film"},
        {"src": "good film", "tgt": "ein guter Film"},
        {"src": "the bad", "tgt": "das Schlechte"},
    ],
    "generation": [{"text": "good film " * 60}],
}
METRICS = {
    "entities": ["entity F1", "precision", "recall", "calibration error"],
    "question-answering": ["F1", "exact match", "refused", "kept", "calibration error"],
    "translation-en-de": ["BLEU", "chrF"],
    "generation": ["perplexity", "next-token accuracy", "calibration error"],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_small_ensembles(root)
    write_ensemble(root / "feelings", [classifier(seed=seed) for seed in (0, 1, 2)])
    # Another tokenizer, and the labels the other way round.
    write_ensemble(
        root / "whole",
        [classifier(build_byte_tokenizer().vocabulary_size, seed=3)],
        labels=("positive", "negative"),
        tokenizer=byte_tokenizer_json(),
    )
    write_ensemble(root / "moods", [classifier()], labels=("sad", "glad"))
    return root


def reviews(folder: Path) -> Path:
    texts = ["good", "bad", "the film", "a good film", "bad film", "the the", "film", "a"]
    rows = [{"text": text, "label": number % 2} for number, text in enumerate(texts)]
    return written(folder / "test.jsonl", rows)


NAMES = ("--label", "0=negative", "--label", "1=positive")


def test_classifiers_are_measured_shown_and_written(models: Path, tmp_path: Path) -> None:
    file, section = tmp_path / "figures.json", tmp_path / "section.md"
    done = streamproc(
        *("evaluate", "feelings", reviews(tmp_path), *NAMES, "--models-dir", models),
        *("--against", "whole", "--limit", "6", "--json", file, "--markdown", section),
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text("utf-8"))
    assert figures["records"] == 6
    assert len(figures["provenance"]["digests"]) == 1
    # The command as it was given, but not where files lie on this machine.
    assert figures["provenance"]["command"].startswith(
        f"streamproc evaluate feelings {tmp_path.name}/test.jsonl --label 0=negative "
    )
    assert f"--limit 6 --json {tmp_path.name}/figures.json" in figures["provenance"]["command"]
    assert "--models-dir " in figures["provenance"]["command"]
    assert [one["role"] for one in figures["systems"]] == [
        "ensemble",
        *["member"] * 3,
        *["strategy"] * 2,
        "other",
    ]
    assert not any(one["errors"] for one in figures["systems"])
    names = ("accuracy", "macro-F1", "calibration error")
    rows = [row for row in figures["results"] if row["minus"] is None and row["by"] is None]
    assert [(row["system"], row["metric"]) for row in rows] == [
        (one["system"], name) for one in figures["systems"] for name in names
    ]
    for row in rows:
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
        assert row["n"] == 6
    differences = [row["minus"] for row in figures["results"] if row["minus"]]
    assert list(dict.fromkeys(differences)) == ["best member", "mean member", "whole"]
    agreement = [row for row in figures["results"] if row["by"] == "agreement of members"]
    assert sum(row["n"] for row in agreement) == 6
    text = section.read_text("utf-8")
    assert "| **feelings, mean of 3** |" in text
    assert "spread evenly over the 8" in text
    assert str(tmp_path) not in text
    assert "feelings, mean of 3" in done.stdout
    assert "ensemble less" in done.stdout


@pytest.mark.parametrize("ensemble", ROWS)
def test_every_task_has_its_metrics(models: Path, tmp_path: Path, ensemble: str) -> None:
    data, file = written(tmp_path / "test.jsonl", ROWS[ensemble]), tmp_path / "figures.json"
    names = ["--label", "person=PER", "--label", "thing=O"] if ensemble == "entities" else []
    done = streamproc(
        *("evaluate", ensemble, data, "--models-dir", models, "--json", file, "--draws", "50"),
        *names,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text("utf-8"))
    served = figures["systems"][0]["system"]
    own = [row for row in figures["results"] if row["system"] == served]
    found = [row["metric"] for row in own if row["minus"] is None and row["by"] is None]
    assert found == METRICS[ensemble]
    roles = [one["role"] for one in figures["systems"]]
    assert roles[:3] == ["ensemble", "member", "member"]
    assert set(roles[3:]) == {"strategy"}


def test_figures_by_a_field_are_shown_written_and_drawn(models: Path, tmp_path: Path) -> None:
    texts = ["good", "bad", "the film", "a good film", "bad film"]
    kinds = ["book"] * 25 + ["film"] * 21 + ["rare"] * 4
    rows = [
        {"text": f"{texts[number % 5]} {kind}", "label": number % 2, "kind": kind}
        for number, kind in enumerate(kinds)
    ]
    out = tmp_path / "out"
    done = streamproc(
        *(
            "evaluate",
            "feelings",
            written(tmp_path / "test.jsonl", rows),
            *NAMES,
            "--models-dir",
            models,
        ),
        *("--against", "whole", "--by", "kind", "--json", out / "figures.json"),
        *("--markdown", out / "report.md", "--plots", out / "plots", "--html", out / "page.html"),
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((out / "figures.json").read_text("utf-8"))["results"]
    groups = {row["group"]: row["n"] for row in rows if row["by"] == "kind"}
    assert list(groups.items()) == [
        ("book", 25),
        ("film", 21),
        ("other (1 of fewer than 20 records)", 4),
    ]
    assert "accuracy by kind" in done.stdout
    assert "--by kind" in done.stdout
    text = (out / "report.md").read_text("utf-8")
    linked = ["measures", "calibration", "agreement", "groups"]
    for name in linked:
        assert f"](plots/{name}.png)" in text
        assert (out / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "page.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") == len(linked)
    assert "src=" not in page.replace('src="data:', "")
    assert str(tmp_path) not in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonesuch"], "no ensemble 'nonesuch'"),
        (["feelings", "--params", "{"], "--params '{' is not JSON"),
        (["feelings", "--params", "[]"], "is not a JSON object"),
        (["feelings", "--params", '{"colour": 1}'], "colour"),
        (["feelings", "--params", '{"combine": "vote"}'], "every way to combine has a row"),
        (["feelings", "--against", "feelings"], "feelings is measured already"),
        (["feelings", "--against", "entities"], "entities is for token-classification"),
        (["feelings", "--label", "0=good"], "is no label of the ensemble"),
        (["feelings", "--label", "0"], "SPELLING=NAME"),
        (["feelings", "--against", "moods"], "moods knows no label negative, positive"),
        (["feelings", "--by", "domain"], "no record has that field; they have corpus"),
        (["feelings", "--by", "corpus"], "none of its 1 values has 20 of the 8 records"),
    ],
)
def test_what_can_not_be_measured_is_said_in_a_line(
    models: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    names: list[str] = [] if "--label" in arguments else [*NAMES]
    data = reviews(tmp_path)
    done = streamproc("evaluate", *arguments, data, *names, "--models-dir", models)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--json", "--markdown", "--html", "--plots"])
def test_a_place_that_can_not_be_written_is_said_before_models_run(
    models: Path, tmp_path: Path, option: str
) -> None:
    data = reviews(tmp_path)
    done = streamproc(
        *("evaluate", "feelings", data, *NAMES, "--models-dir", models),
        *(option, data / "below" / "a-file"),
    )
    assert done.returncode == 2
    assert "can't write" in done.stderr
    assert done.stdout == ""


@pytest.fixture(scope="module")
def of_other_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ensemble of several labels, and one of numbers, three members each."""
    root = tmp_path_factory.mktemp("models")
    for name, kind, labels in (
        ("subjects", "multi_label_classification", ("refund", "delivery", "praise")),
        ("stars", "regression", ("stars",)),
    ):
        graphs = [classifier(labels=len(labels), seed=seed) for seed in (0, 1, 2)]
        manifest = write_ensemble(root / name, graphs, labels=labels)
        text = manifest.read_text("utf-8")
        manifest.write_text(text.replace("labels", f'problem_type = "{kind}"\nlabels', 1), "utf-8")
    return root


@pytest.mark.parametrize(
    ("ensemble", "labels", "metrics", "strategies"),
    [
        (
            "subjects",
            (["refund"], ["praise", "delivery"], []),
            ("micro-F1", "macro-F1", "exact match", "calibration error"),
            ["logit_mean", "vote"],
        ),
        ("stars", (3, 4.5, -1), ("RMSE", "mean absolute error", "Pearson correlation"), []),
    ],
)
def test_several_labels_and_numbers_are_measured_and_combined_by_what_means_something_for_them(
    of_other_kinds: Path,
    tmp_path: Path,
    ensemble: str,
    labels: tuple[Any, ...],
    metrics: tuple[str, ...],
    strategies: list[str],
) -> None:
    texts = ("a good film", "the bad film", "film", "good", "the the", "bad bad a film")
    rows = [{"text": text, "label": labels[n % 3]} for n, text in enumerate(texts)]
    data, figures, page = (
        written(tmp_path / "test.jsonl", rows),
        tmp_path / "all.json",
        tmp_path / "page.html",
    )

    done = streamproc(
        *("evaluate", ensemble, data, "--models-dir", of_other_kinds),
        *("--json", figures, "--html", page),
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text("utf-8"))
    assert [one["role"] for one in found["systems"]] == [
        "ensemble",
        *["member"] * 3,
        *["strategy"] * len(strategies),
    ]
    assert not any(one["errors"] for one in found["systems"])
    rows = [row for row in found["results"] if row["minus"] is None and row["by"] is None]
    assert [row["metric"] for row in rows[: len(metrics)]] == list(metrics)
    assert page.is_file()

    fitted = streamproc(
        "fit-ensemble", ensemble, "--valid", data, "--models-dir", of_other_kinds, timeout_s=300
    )
    assert fitted.returncode == 0, fitted.stderr
    manifest = (of_other_kinds / ensemble / "manifest.toml").read_text("utf-8")
    assert "problem_type" in manifest
    assert streamproc("models", "verify", "--models-dir", of_other_kinds).returncode == 0


def test_ensembles_of_other_kinds_are_not_measured_beside_each_other(
    of_other_kinds: Path, tmp_path: Path
) -> None:
    data = written(tmp_path / "test.jsonl", [{"text": "film", "label": 1}])

    done = streamproc(
        *("evaluate", "stars", data, "--against", "subjects", "--models-dir", of_other_kinds)
    )

    assert done.returncode == 2
    assert "subjects is a multi_label_classification; stars" in done.stderr
