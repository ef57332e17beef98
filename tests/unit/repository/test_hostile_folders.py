"""Folders of models that somebody made to hang, read or fill the machine that looks at them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from streamproc.errors import ModelRefused
from streamproc.repository.changes import copy_ensemble
from streamproc.repository.manifest import read_manifest
from streamproc.repository.repository import MANIFEST, Repository, digest_of_manifests
from streamproc.repository.toml import MAX_TOML_BYTES
from streamproc.repository.verified import MAX_FILE_BYTES
from streamproc.repository.versions import MEMBER, keep_version, read_version
from tests.support.onnx_models import write_ensemble

MODEL = b"the bytes of a model"


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    # Bound by its short name: the path of a socket has a hundred characters at most.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def outside(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def itself(path: Path) -> None:
    path.symlink_to(path.name)


SPECIAL = [pipe, listening, endless, folder, outside, itself]


def larger(most_bytes: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.touch()
        os.truncate(path, most_bytes + 1)

    return make


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The folder of an ensemble of one member."""
    write_ensemble(tmp_path / "models" / "tiny", [MODEL])
    return tmp_path / "models" / "tiny"


@pytest.mark.parametrize("make", [*SPECIAL, larger(MAX_FILE_BYTES)])
@pytest.mark.parametrize("name", ["m0.onnx", "tokenizer.json"])
def test_what_a_manifest_names_is_read_only_if_it_is_a_regular_file_inside(
    tiny: Path, make: Callable[[Path], None], name: str
) -> None:
    (tiny / name).unlink()
    make(tiny / name)

    with pytest.raises(ModelRefused):
        Repository(tiny.parent).open("tiny").verify()


@pytest.mark.parametrize("make", [*SPECIAL, larger(MAX_TOML_BYTES)])
def test_a_manifest_is_read_only_if_it_is_a_regular_file_inside(
    tiny: Path, make: Callable[[Path], None]
) -> None:
    stored = Repository(tiny.parent).open("tiny")
    (tiny / MANIFEST).unlink()
    make(tiny / MANIFEST)

    with pytest.raises(ModelRefused):
        Repository(tiny.parent).open("tiny")
    assert stored.changed()
    assert digest_of_manifests(tiny.parent)


@pytest.mark.parametrize("make", [*SPECIAL, larger(MAX_TOML_BYTES)])
def test_what_is_kept_of_a_version_is_read_only_if_it_is_a_regular_file(
    tiny: Path, make: Callable[[Path], None]
) -> None:
    stored = Repository(tiny.parent).open("tiny")
    (member,) = stored.manifest.members
    keep_version(tiny, member.model_copy(update={"version": "2"}))
    (tiny / "m0/2" / MEMBER).unlink()
    make(tiny / "m0/2" / MEMBER)

    with pytest.raises(ModelRefused):
        read_version(stored, "m0", "2")


def test_the_message_says_what_is_there_instead(tiny: Path) -> None:
    (tiny / "m0.onnx").unlink()
    pipe(tiny / "m0.onnx")

    with pytest.raises(ModelRefused, match=r"m0\.onnx is a named pipe, where a regular file is"):
        Repository(tiny.parent).open("tiny").verify()


def test_a_copy_follows_no_link(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("secret")
    (tiny / "other").symlink_to(tmp_path / "elsewhere")
    (tiny / "loop").symlink_to(tiny)

    copy = copy_ensemble(Repository(tiny.parent).open("tiny"), "tiny@2")

    assert (copy / "other").is_symlink()
    assert (copy / "loop").is_symlink()
    assert Repository(tiny.parent).open("tiny@2").manifest.members[0].name == "m0"


BOMBS = {
    "lists in lists": "[" * 100_000 + "]" * 100_000,
    "tables in tables": "{a = " * 100_000 + "1" + "}" * 100_000,
    "less deep than Python gives up": "[" * 200 + "]" * 200,
    "a key of many parts": None,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_manifest_that_is_nested_without_measure_ends_in_one_sentence(
    tiny: Path, bomb: str | None
) -> None:
    said = (tiny / MANIFEST).read_text()
    if bomb is None:
        hostile = said + f"provenance.{'a.' * 100_000}b = 1\n"
    else:
        hostile = said + f"provenance = {{a = {bomb}}}\n"

    with pytest.raises(ModelRefused, match=r"^where: .*(more than 32|not TOML)") as refused:
        read_manifest(hostile.encode(), "where")
    assert len(str(refused.value)) < 200
    assert "\n" not in str(refused.value)
