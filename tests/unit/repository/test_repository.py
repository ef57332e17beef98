from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.errors import ModelRefused
from streamproc.repository.repository import Repository
from tests.support.onnx_models import write_ensemble

MODEL = b"the bytes of a model"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with the ensemble "tiny" of one member."""
    root = tmp_path / "models"
    write_ensemble(root / "tiny", [MODEL])
    return root


def test_ensembles_are_the_folders_with_a_manifest(root: Path) -> None:
    (root / "empty").mkdir()
    write_ensemble(root / "another", [MODEL])

    assert Repository(root).names() == ["another", "tiny"]


def test_files_that_are_what_the_manifest_names_are_handed_out(root: Path) -> None:
    stored = Repository(root).open("tiny")

    assert stored.model(stored.manifest.members[0]) == MODEL
    assert stored.tokenizer() == (root / "tiny" / "tokenizer.json").read_bytes()


def test_the_digest_changes_with_the_manifest_alone(root: Path) -> None:
    before = Repository(root).open("tiny").digest
    manifest = root / "tiny" / "manifest.toml"
    manifest.write_text(manifest.read_text() + "\n# seen\n")

    assert Repository(root).open("tiny").digest != before


@pytest.mark.parametrize("content", [MODEL + b"\n", b"", MODEL.upper()])
def test_a_file_of_another_content_is_refused_with_both_digests(root: Path, content: bytes) -> None:
    stored = Repository(root).open("tiny")
    (root / "tiny" / "m0.onnx").write_bytes(content)

    with pytest.raises(ModelRefused, match=r"m0\.onnx is not the file .*[0-9a-f]{64}, expected "):
        stored.model(stored.manifest.members[0])


def test_a_file_that_is_gone_is_refused(root: Path) -> None:
    stored = Repository(root).open("tiny")
    (root / "tiny" / "tokenizer.json").unlink()

    with pytest.raises(ModelRefused, match=r"tokenizer\.json: No such file"):
        stored.tokenizer()


def test_a_link_that_leads_out_of_the_folder_is_refused_though_the_content_fits(
    root: Path,
) -> None:
    outside = root.parent / "outside.onnx"
    outside.write_bytes(MODEL)
    inside = root / "tiny" / "m0.onnx"
    inside.unlink()
    inside.symlink_to(outside)
    stored = Repository(root).open("tiny")

    with pytest.raises(ModelRefused, match="leads out of its folder"):
        stored.model(stored.manifest.members[0])


def test_a_link_inside_the_folder_is_followed(root: Path) -> None:
    inside = root / "tiny" / "m0.onnx"
    inside.rename(root / "tiny" / "stored.onnx")
    inside.symlink_to("stored.onnx")
    stored = Repository(root).open("tiny")

    assert stored.model(stored.manifest.members[0]) == MODEL


def test_a_repository_that_is_itself_a_link_is_read(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    stored = Repository(link).open("tiny")

    assert stored.model(stored.manifest.members[0]) == MODEL


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../models/tiny",
        "/tiny",
        "",
        "tiny/",
        "Tiny",
        "a\x00b",
        "tiny\n",
        "tiny@",
        "@2",
        "tiny@..",
        "tiny@2@3",
    ],
)
def test_a_name_that_is_a_path_is_refused(root: Path, name: str) -> None:
    with pytest.raises(ModelRefused, match="can't be the name of an ensemble"):
        Repository(root).open(name)


def test_an_unknown_ensemble_is_refused_with_those_there_are(root: Path) -> None:
    with pytest.raises(ModelRefused, match="there are: tiny"):
        Repository(root).open("other")


def test_a_manifest_in_a_folder_of_another_name_is_refused(root: Path) -> None:
    (root / "tiny").rename(root / "small")

    with pytest.raises(ModelRefused, match="its name is 'tiny', its folder's 'small'"):
        Repository(root).open("small")


def test_a_repository_that_is_no_folder_names_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="STREAMPROC_MODELS_DIR"):
        Repository(tmp_path / "none").names()
