"""Models of Keras and of torch in one ensemble, brought in by the command and served together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import ROOT, streamproc

FIXTURES = ROOT / "tests" / "fixtures" / "classifiers"
LABELS = ("negative", "positive")
# Each exported by its own framework, and the labels of its outputs in their order.
MEMBERS = {
    "keras-averaging": LABELS,
    "keras-convolution": LABELS,
    "torch-attending": ("positive", "negative"),
}


def imported(models: Path, member: str, *more: str | Path) -> dict[str, Any]:
    labels = [part for label in MEMBERS[member] for part in ("--label", label)]
    done = streamproc(
        *("models", "import", FIXTURES / f"{member}.onnx", "--ensemble", "tone", "--out", models),
        *("--json", *labels, *more),
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def said_of(member: str) -> list[dict[str, Any]]:
    """What the framework itself said as the fixture was made: texts and probabilities."""
    stored = json.loads((FIXTURES / f"{member}.json").read_text("utf-8"))
    answers: list[dict[str, Any]] = stored["answers"]
    return answers


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with the ensemble of all three."""
    models = tmp_path_factory.mktemp("imported") / "models"
    new = ("--task", "text-classification", "--tokenizer", FIXTURES / "tokenizer.json")
    first, *others = MEMBERS
    imported(models, first, *new, "--window", "48")
    for member in others:
        imported(models, member)
    return models


def answers(
    models: Path, requests: Sequence[dict[str, Any]], folder: Path, *options: str
) -> list[dict[str, Any]]:
    file = folder / "requests.jsonl"
    file.write_text("".join(json.dumps(request) + "\n" for request in requests), "utf-8")
    done = streamproc("run", file, "--ensemble", "tone", "--models-dir", models, *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_members_answer_as_keras_and_torch_do_and_their_mean_is_the_ensembles(
    models: Path, tmp_path: Path
) -> None:
    texts = [said["text"] for said in said_of("torch-attending")]
    asked = [{"text": text, "params": {"return_members": True}} for text in texts]

    answered = answers(models, asked, tmp_path)

    expected = {member: said_of(member) for member in MEMBERS}
    for number, answer in enumerate(answered):
        own = {name: said[number]["probabilities"] for name, said in expected.items()}
        assert [member["name"] for member in answer["members"]] == list(MEMBERS)
        for member in answer["members"]:
            assert member["result"]["scores"] == pytest.approx(own[member["name"]], abs=1e-5)
        mean = {label: sum(said[label] for said in own.values()) / 3 for label in LABELS}
        assert answer["result"]["scores"] == pytest.approx(mean, abs=1e-5)


def test_answers_are_the_same_to_the_bit_alone_and_in_whatever_batch(
    models: Path, tmp_path: Path
) -> None:
    said = [said["text"] for said in said_of("torch-attending")]
    texts = [*said, *(" ".join((text, *said[:number])) for number, text in enumerate(said))]
    asked = [{"text": text, "params": {"return_members": True}} for text in texts]

    alone = answers(models, asked, tmp_path, "--outstanding", "1")
    together = answers(models, asked[::-1], tmp_path, "--batch-budget-tokens", "4096")[::-1]

    for one, other in zip(alone, together, strict=True):
        assert one["result"] == other["result"]
        assert one["members"] == other["members"]
    assert max(answer["coverage"]["chunks"] for answer in alone) > 1


def test_a_manifest_says_where_a_member_came_from_and_verify_finds_it_good(models: Path) -> None:
    shown = json.loads(
        streamproc("models", "show", "tone", "--json", "--models-dir", models).stdout
    )
    verified = streamproc("models", "verify", "tone", "--models-dir", models)

    assert verified.returncode == 0
    assert shown["labels"] == list(LABELS)
    producers = [member["provenance"]["producer"].split()[0] for member in shown["members"]]
    assert producers == ["tf2onnx", "tf2onnx", "pytorch"]
    for member in shown["members"]:
        assert member["provenance"]["source"] == f"{member['name']}.onnx"
        file = models / "tone" / member["file"]
        assert member["size_bytes"] == file.stat().st_size


def test_without_a_terminal_what_is_not_known_is_an_error_that_names_the_flag(
    tmp_path: Path,
) -> None:
    source = FIXTURES / "keras-averaging.onnx"
    told: list[str | Path] = []
    for flag, value in (
        ("--task", "text-classification"),
        ("--tokenizer", FIXTURES / "tokenizer.json"),
        ("--label", "negative"),
    ):
        command = ("models", "import", source, "--ensemble", "tone", "--out", tmp_path / "models")
        done = streamproc(*command, *told)
        assert done.returncode == 2
        assert flag in done.stderr
        assert "Traceback" not in done.stderr
        told += [flag, value]
    assert not (tmp_path / "models").exists()


def test_help_of_models_names_import() -> None:
    assert " import " in streamproc("models", "--help").stdout


def test_versions_are_imported_used_listed_and_removed_by_commands(
    models: Path, tmp_path: Path
) -> None:
    own = tmp_path / "models"
    shutil.copytree(models, own)
    text = [{"text": said_of("torch-attending")[0]["text"]}]

    def command(*parts: str, code: int = 0) -> str:
        done = streamproc("models", *parts, "--models-dir", own)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    before = answers(own, text, tmp_path)
    renamed = ("--member", "keras-averaging", "--version", "2", "--label", "positive")
    source = FIXTURES / "keras-convolution.onnx"
    found = streamproc(
        *("models", "import", source, "--ensemble", "tone", "--out", own, "--label", "negative"),
        *renamed,
    )
    assert found.returncode == 0, found.stderr
    assert "took the place of 1" in found.stdout
    assert "models use tone keras-averaging 1" in found.stdout
    after = answers(own, text, tmp_path)
    assert after[0]["result"] != before[0]["result"]
    assert after[0]["members"][0]["version"] == "2"

    listed = json.loads(command("list", "--json"))
    versions = {"in_use": "2", "versions": ["1", "2"]}
    assert listed[0]["members"]["keras-averaging"] == versions
    assert "2" in command("remove", "tone", "keras-averaging/2", "--yes", code=2)
    command("use", "tone", "keras-averaging", "1")
    back = answers(own, text, tmp_path)
    assert (back[0]["result"], back[0]["manifest"]) == (before[0]["result"], before[0]["manifest"])
    assert "--yes removes without asking" in command("remove", "tone", "keras-averaging/2", code=2)
    command("remove", "tone", "keras-averaging/2", "--yes")
    command("remove", "tone", "keras-convolution", "--yes")
    command("remove", "tone", "-y")
    assert json.loads(command("list", "--json")) == []
