"""What can be told before a Hugging Face folder is exported is told before: nothing is exported."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streamproc.errors import ModelRefused, OperatorError, SettingsError
from streamproc.offline.importing import checks
from tests.support.foreign_models import VOCABULARY, bring
from tests.support.hub_folders import hub
from tests.support.onnx_models import classifier, write_ensemble


class Exported(Exception):
    """The export was begun."""


@pytest.fixture(autouse=True)
def _no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    def exported(source: Path, task: str, target: Path) -> None:
        raise Exported

    monkeypatch.setattr("tests.support.foreign_models._no_export", exported)


def brought(source: Path, models: Path, **options: Any) -> None:
    bring(source, models, **{"labels": (), "tokenizer": None, "task": None, **options})


def test_a_folder_with_nothing_wrong_is_exported(tmp_path: Path) -> None:
    with pytest.raises(Exported):
        brought(hub(tmp_path), tmp_path / "models")


@pytest.mark.parametrize(
    ("config", "options", "said"),
    [
        ({"problem_type": "ranking"}, {}, "'ranking', which transformers does not know"),
        ({"function_to_apply": "sigmoid"}, {}, "--problem-type multi_label_classification"),
        ({"problem_type": "regression"}, {"task": "token-classification"}, "gives numbers"),
        ({}, {"task": "question-answering", "problem_type": "regression"}, "means nothing"),
        ({"problem_type": "regression"}, {"labels": ("a", "b")}, "3 outputs, and 2 labels"),
        ({"id2label": {"0": "LABEL_0"}}, {"labels": ("a", "b")}, "head of one output"),
        ({"model_type": "xlnet"}, {}, "XLNet is not served for text-classification: optimum"),
        ({"vocab_size": 7}, {}, f"vocabulary of 7 tokens, and the tokenizer one of {VOCABULARY}"),
        ({}, {"window": 100}, "takes 64 tokens at most"),
        ({}, {"overlap": 20}, "share at most 8"),
        ({}, {"labels": ("a", "b")}, "3 outputs, and 2 labels"),
        ({}, {"labels": ("d=e",)}, "SPELLING=NAME"),
        ({}, {"version": ".."}, "a version is up to 64"),
        ({}, {"use": False}, "a new ensemble uses the only version"),
        ({}, {"pad_token": "nothing"}, "neither an id nor a token"),
        ({}, {"task": "question-answering", "labels": ("a", "b")}, "has no labels"),
        ({}, {"task": "text-generation", "scores": "logits"}, "mean nothing for text-generation"),
        ({}, {"task": "translation"}, "no decoder_start_token_id"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_export(
    tmp_path: Path, config: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(OperatorError, match=said):
        brought(hub(tmp_path, **config), tmp_path / "models", **options)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"member": "m0"}, r"has m0 in version 1 already.*--version 2"),
        ({"labels": ("a", "b", "d")}, "d is no label of the ensemble"),
        ({"task": "token-classification"}, "is for text-classification"),
        ({"problem_type": "regression"}, "an ensemble of single_label.* one of regression; name"),
    ],
)
def test_what_does_not_fit_an_ensemble_is_refused_before_the_export(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    members = [classifier(VOCABULARY, 3, seed=1)]
    write_ensemble(tmp_path / "models" / "tone", members, labels=("a", "b", "c"))
    with pytest.raises(OperatorError, match=said):
        brought(hub(tmp_path), tmp_path / "models", **options)


def _pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "utf-8")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _other(path: Path) -> None:
    path.write_bytes(b"\x80\x04 something else")


@pytest.mark.parametrize(
    ("harm", "said"),
    [(_pointer, "git lfs pull"), (_cut, "end of the file is missing"), (_other, "not a safetens")],
)
def test_weights_that_are_not_there_whole_are_told_of(
    tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    source = hub(tmp_path)
    harm(source / "model.safetensors")
    with pytest.raises(ModelRefused, match=said):
        brought(source, tmp_path / "models")


def test_what_is_too_large_for_one_file_or_for_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = hub(tmp_path)
    monkeypatch.setattr(checks, "float32_bytes", lambda folder: 3 * 2**30)
    with pytest.raises(ModelRefused, match=r"3\.0 GiB of weights.*at most 2 GiB"):
        brought(source, tmp_path / "models")
    monkeypatch.setattr(checks, "float32_bytes", lambda folder: 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**29))
    with pytest.raises(ModelRefused, match=r"0\.5 GiB of free space, and 1\.0 GiB are needed"):
        brought(source, tmp_path / "models")


def test_a_label_that_is_asked_for_is_asked_for_before_the_export(tmp_path: Path) -> None:
    nameless = {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}
    with pytest.raises(SettingsError, match="labels of the model's 2 outputs"):
        brought(hub(tmp_path, **nameless), tmp_path / "models")


@pytest.mark.parametrize("named", ["", "onnx/model.onnx"])
def test_a_folder_of_the_hub_with_onnx_inside_is_imported_as_what_it_is(
    tmp_path: Path, named: str
) -> None:
    source = hub(tmp_path)
    (source / "model.safetensors").unlink()
    (source / "onnx").mkdir()
    (source / "onnx" / "model.onnx").write_bytes(classifier(VOCABULARY, 3))

    imported, model = bring(
        source / named, tmp_path / "models", labels=(), tokenizer=None, task=None
    )

    assert (imported.member, imported.labels) == ("calls", ("a", "b", "c"))
    assert model == (source / "onnx" / "model.onnx").read_bytes()
