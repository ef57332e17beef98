"""Versions of an ensemble side by side: which folder is which, and which is meant by a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import ModelRefused
from streamproc.repository.changes import copy_ensemble
from streamproc.repository.repository import Repository
from streamproc.repository.versioned_name import VERSIONED_NAME, VersionedName, plain_name
from tests.support.onnx_models import write_ensemble

MODEL = b"the bytes of a model"


def models(root: Path, *folders: str) -> Repository:
    for folder in folders:
        write_ensemble(root / folder, [MODEL + folder.encode()])
    return Repository(root)


def test_the_plain_folder_is_version_1_and_the_default(tmp_path: Path) -> None:
    there = models(tmp_path, "tiny", "tiny@10", "tiny@2", "tiny@canary", "tiny-2", "other")

    assert there.names() == ["other", "tiny", "tiny-2"]
    every = ["other", "tiny", "tiny@2", "tiny@10", "tiny@canary", "tiny-2"]
    assert there.all_versions() == every
    assert there.versions("tiny") == ["1", "2", "10", "canary"]
    assert there.open("tiny") == there.open("tiny@1")
    assert (there.open("tiny").version, there.open("tiny").name) == ("1", "tiny")
    second = there.open("tiny@2")
    assert (second.version, second.name, second.manifest.name) == ("2", "tiny@2", "tiny")
    assert second.folder == tmp_path / "tiny@2"
    assert second.model(second.manifest.members[0]) == MODEL + b"tiny@2"


def test_without_a_plain_folder_the_first_version_is_the_default(tmp_path: Path) -> None:
    there = models(tmp_path, "tiny@3", "tiny@2")

    assert there.names() == ["tiny"]
    assert there.open("tiny").version == "2"


def test_version_1_may_have_a_folder_of_its_own_but_not_two(tmp_path: Path) -> None:
    there = models(tmp_path, "tiny@1", "tiny@2")
    assert there.open("tiny").folder == tmp_path / "tiny@1"

    models(tmp_path, "tiny")
    for name in ("tiny", "tiny@1", "tiny@2"):
        with pytest.raises(ModelRefused, match="tiny and tiny@1 are both version 1"):
            there.open(name)


def test_a_version_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    there = models(tmp_path, "tiny", "tiny@2")
    with pytest.raises(ModelRefused, match=r"no version '3' of ensemble 'tiny' .*: 1, 2"):
        there.open("tiny@3")


def test_a_broken_version_keeps_nobody_from_the_others(tmp_path: Path) -> None:
    there = models(tmp_path, "tiny", "tiny@2", "tiny@3")
    (tmp_path / "tiny@2" / "manifest.toml").write_text("]")
    (tmp_path / ".tiny@4.unfinished").mkdir()
    (tmp_path / ".tiny@4.unfinished" / "manifest.toml").write_text("")

    assert there.names() == ["tiny"]
    assert there.versions("tiny") == ["1", "2", "3"]
    assert there.open("tiny@3").version == "3"
    with pytest.raises(ModelRefused, match="not TOML"):
        there.open("tiny@2")


def test_a_copy_shares_its_files_and_is_changed_by_itself(tmp_path: Path) -> None:
    there = models(tmp_path, "tiny")
    folder = copy_ensemble(there.open("tiny"), "tiny@2")

    first, second = there.open("tiny"), there.open("tiny@2")
    assert folder == second.folder
    assert second.digest == first.digest
    (file, _), *_ = first.manifest.members[0].files
    assert (first.folder / file).samefile(second.folder / file)
    with pytest.raises(ModelRefused, match="is there already"):
        copy_ensemble(first, "tiny@2")
    with pytest.raises(ModelRefused, match="is there already"):
        copy_ensemble(second, "tiny@1")


@pytest.mark.parametrize("name", ["tiny", "other@2", "tiny@", "tiny@../x"])
def test_a_copy_has_the_name_of_a_version(tmp_path: Path, name: str) -> None:
    stored = models(tmp_path, "tiny").open("tiny")
    with pytest.raises(ModelRefused, match="name it as tiny@VERSION"):
        copy_ensemble(stored, name)


@given(st.from_regex(VERSIONED_NAME, fullmatch=True).map(str.strip))
def test_a_name_that_is_read_is_written_as_it_was(text: str) -> None:
    read = VersionedName.read(text)
    assert read is not None
    assert str(read) == text
    assert plain_name(text) == read.name


@given(st.text(max_size=12))
def test_what_is_no_name_leads_to_no_folder(text: str) -> None:
    read = VersionedName.read(text)
    if read is None:
        with pytest.raises(ModelRefused):
            Repository(Path("models")).folder(text)
    else:
        folder = Repository(Path("models")).folder(text)
        assert folder.parent == Path("models")
