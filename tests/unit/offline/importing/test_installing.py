"""Members are placed whole or not at all; what lies there already stays as it is."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamproc.errors import ModelRefused, OperatorError, SettingsError
from streamproc.repository.repository import Repository
from streamproc.repository.toml import to_toml
from streamproc.testing import tokenizer_json
from tests.support.foreign_models import VOCABULARY, Said, bring, foreign
from tests.support.onnx_models import classifier, write_ensemble

TITLE = "# kept by hand\n"


def contents(folder: Path) -> dict[str, str]:
    """Digests of all files, by their place."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A repository whose ensemble `tone` has two members, its manifest written by hand."""
    folder = tmp_path / "models"
    members = [classifier(VOCABULARY, 3, seed=seed) for seed in (1, 2)]
    manifest = write_ensemble(folder / "tone", members, labels=("a", "b", "c"))
    manifest.write_text(TITLE + manifest.read_text("utf-8"), "utf-8")
    return folder


def test_a_member_joins_and_everything_else_stays_as_it_was(tmp_path: Path, models: Path) -> None:
    before = contents(models)
    manifest = (models / "tone" / "manifest.toml").read_text("utf-8")

    imported, _ = bring(foreign(tmp_path / "new.onnx", ignored_id=0), models, version="2")

    after = contents(models)
    assert after.keys() - before.keys() == {"tone/new/2/model.onnx", "tone/new/2/member.toml"}
    changed = {place for place in before if before[place] != after[place]}
    assert changed == {"tone/manifest.toml"}
    assert (models / "tone" / "manifest.toml").read_text("utf-8").startswith(manifest.rstrip())
    stored = Repository(models).open("tone").manifest.members
    assert [member.name for member in stored] == ["m0", "m1", "new"]
    assert stored[2].sha256 == after["tone/new/2/model.onnx"]
    assert not imported.new


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"member": "m0"}, r"has m0 in version 1 already.*--version 2"),
        ({"use": False}, "has no member new yet"),
        ({"overlap": 3}, "has its own"),
        ({"pad_token": "nothing"}, "neither an id nor a token"),
        ({"labels": ("a", "b", "d")}, "d is no label of the ensemble"),
        ({"labels": ("a", "a", "b")}, "each once"),
        ({"labels": ("a", "", "")}, "two labels or more"),
        ({"labels": ("a", "b")}, "3 outputs, and 2 labels"),
        ({"task": "token-classification"}, "is for text-classification"),
        ({"window": 8}, "has its own"),
        ({"member": "../up"}, "--member"),
        ({"member": "tokenizer.json"}, "has a file of that name"),
        ({"ensemble": "prefixes"}, "can't be the name of an ensemble"),
        ({"prefix": "translate: "}, "--prefix: flags that mean nothing for text-classification"),
        ({"target_language": "de"}, "--target-language: .*mean nothing"),
        ({"version": "../up"}, "version"),
        ({"padded_to": 8}, "are 16 tokens, and the model takes 8"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    tmp_path: Path, models: Path, options: dict[str, Any], said: str
) -> None:
    before = contents(models)
    with pytest.raises(OperatorError, match=said):
        bring(foreign(tmp_path / "new.onnx", ignored_id=0), models, **options)
    assert contents(models) == before
    assert [path.name for path in models.iterdir()] == ["tone"]


def test_a_member_joins_where_members_are_written_in_one_line(tmp_path: Path, models: Path) -> None:
    manifest = models / "tone" / "manifest.toml"
    said = tomllib.loads(manifest.read_text("utf-8"))
    inline = [
        "{" + ", ".join(f"{key} = {json.dumps(value)}" for key, value in member.items()) + "}"
        for member in said.pop("members")
    ]
    manifest.write_text(f"members = [{', '.join(inline)}]\n{to_toml(said)}", "utf-8")

    bring(foreign(tmp_path / "new.onnx", ignored_id=0), models)

    members = Repository(models).open("tone").manifest.members
    assert [member.name for member in members] == ["m0", "m1", "new"]


def test_what_a_gate_knows_nothing_of_does_not_join_and_is_told_how_it_may(
    tmp_path: Path, models: Path
) -> None:
    folder = models / "tone"
    np.save(folder / "gate.npy", np.zeros((VOCABULARY, 2), np.float32))
    digest = hashlib.sha256((folder / "gate.npy").read_bytes()).hexdigest()
    gate = {"file": "gate.npy", "sha256": digest, "members": ["m0", "m1"], "sharpness": 1.0}
    with (folder / "manifest.toml").open("a", encoding="utf-8") as file:
        file.write("\n" + to_toml({"gate": gate}))
    source = foreign(tmp_path / "new.onnx", ignored_id=0)

    with pytest.raises(ModelRefused, match=r"tone has a gate.* fit-ensemble tone"):
        bring(source, models)
    imported, _ = bring(source, models, member="m0", version="2")

    assert imported.replaced == "1"


def test_a_version_that_is_there_is_not_written_over(tmp_path: Path, models: Path) -> None:
    source = foreign(tmp_path / "new.onnx", ignored_id=0)
    bring(source, models)
    before = contents(models)
    with pytest.raises(ModelRefused, match="in version 1 already"):
        bring(source, models)
    assert contents(models) == before


def test_another_tokenizer_is_refused_but_not_for_its_padding(tmp_path: Path, models: Path) -> None:
    source, other = foreign(tmp_path / "new.onnx", ignored_id=0), tmp_path / "other.json"
    other.write_bytes(tokenizer_json(("another", "word")))
    with pytest.raises(ModelRefused, match=r"other\.json is another tokenizer"):
        bring(source, models, tokenizer=other)
    other.write_bytes(
        tokenizer_json().replace(
            b'"truncation":null',
            b'"truncation":{"direction":"Right","max_length":8,"strategy":"LongestFirst","stride":0}',
        )
    )
    assert other.read_bytes() != tokenizer_json()
    bring(source, models, tokenizer=other)


def test_outputs_are_left_out_or_called_as_the_ensemble_calls_them(
    tmp_path: Path, models: Path
) -> None:
    bring(foreign(tmp_path / "new.onnx", ignored_id=0), models, labels=("", "c", "a"))
    assert Repository(models).open("tone").manifest.members[2].labels == ("", "c", "a")


def test_labels_are_asked_for_where_nobody_said_them(tmp_path: Path, models: Path) -> None:
    source = foreign(tmp_path / "new.onnx", ignored_id=0)
    with pytest.raises(SettingsError, match=r"3 outputs \(a, b, c in the model's order\)"):
        bring(source, models, labels=())
    said = Said({"--label": "c, b, a"})
    bring(source, models, said, labels=())
    assert Repository(models).open("tone").manifest.members[2].labels == ("c", "b", "a")
    assert said.asked == ["--label NAME once for each output"]


def test_members_behind_a_prefix_are_not_joined(tmp_path: Path, models: Path) -> None:
    manifest = models / "tone" / "manifest.toml"
    text = manifest.read_text("utf-8")
    manifest.write_text(text.replace("[window]", f'[prefix]\nsha256 = "{"0" * 64}"\n[window]'))
    with pytest.raises(ModelRefused, match="prefix"):
        bring(foreign(tmp_path / "new.onnx", ignored_id=0), models)


def test_a_new_ensemble_is_described(tmp_path: Path) -> None:
    bring(
        foreign(tmp_path / "New Model.onnx", ignored_id=0),
        tmp_path / "models",
        description="what for",
        license="MIT",
        overlap=3,
    )
    found = tomllib.loads((tmp_path / "models/tone/manifest.toml").read_text("utf-8"))
    assert (found["description"], found["license"], found["labels"]) == (
        "what for",
        "MIT",
        ["a", "b", "c"],
    )
    assert found["window"] == {"max_tokens": 16, "overlap_tokens": 3}
    (member,) = found["members"]
    assert member["name"] == "new-model"
    assert member["provenance"]["producer"] == "keras"
    assert member["provenance"]["license"] == "MIT"


def test_a_folder_that_is_no_ensemble_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "models" / "tone").mkdir(parents=True)
    with pytest.raises(ModelRefused, match=r"without a manifest\.toml"):
        bring(foreign(tmp_path / "new.onnx", ignored_id=0), tmp_path / "models")


@pytest.mark.parametrize("labels", [("a=b",), ("a=b", "c=d", "e=f")])
def test_labels_are_renamed_only_where_a_configuration_names_them(
    tmp_path: Path, models: Path, labels: Sequence[str]
) -> None:
    with pytest.raises(SettingsError, match="SPELLING=NAME"):
        bring(foreign(tmp_path / "new.onnx", ignored_id=0), models, labels=labels)


def test_a_version_of_an_ensemble_is_made_beside_it_and_then_joined(
    tmp_path: Path, models: Path
) -> None:
    before = contents(models)

    bring(foreign(tmp_path / "new.onnx", ignored_id=0), models, ensemble="tone@2")
    imported, _ = bring(foreign(tmp_path / "more.onnx", ignored_id=0), models, ensemble="tone@2")

    after = contents(models)
    assert {place: after[place] for place in before} == before
    repository = Repository(models)
    assert repository.versions("tone") == ["1", "2"]
    second = repository.open("tone@2")
    assert (second.manifest.name, [one.name for one in second.manifest.members]) == (
        "tone",
        ["new", "more"],
    )
    assert imported.manifest == second.folder / "manifest.toml"
    # Version 1 is the plain folder, by whichever name.
    bring(foreign(tmp_path / "third.onnx", ignored_id=0), models, ensemble="tone@1")
    assert [one.name for one in repository.open("tone").manifest.members] == ["m0", "m1", "third"]


@pytest.mark.parametrize("name", ["tone@", "tone@../x", "@2", "tone@2@3"])
def test_what_is_no_version_is_told(tmp_path: Path, models: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="--ensemble"):
        bring(foreign(tmp_path / "new.onnx", ignored_id=0), models, ensemble=name)
