"""What loading a version takes beside the one that serves, and what is said where it is lacking."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.serving.inference.device_memory import DeviceMemory
from streamproc.settings.sizes import MIB
from streamproc.worker.model_memory import (
    SPARE_BYTES,
    NoRoomForModel,
    loading_bytes,
    require_memory,
)
from tests.support.onnx_models import write_ensemble


@pytest.fixture
def stored(tmp_path: Path) -> StoredEnsemble:
    """Two members, of three and of five MiB."""
    write_ensemble(tmp_path / "tiny@2", [b"a" * 3 * MIB, b"b" * 5 * MIB])
    return Repository(tmp_path).open("tiny@2")


def test_at_the_peak_all_members_and_the_largest_twice_more(stored: StoredEnsemble) -> None:
    assert loading_bytes(stored) == ((3 + 5 + 2 * 5) * MIB, 8 * MIB)


def test_weights_of_eight_bits_may_take_four_times_their_file(stored: StoredEnsemble) -> None:
    manifest = stored.folder / "manifest.toml"
    text = manifest.read_text("utf-8")
    manifest.write_text(text.replace('version = "1"', 'version = "1"\nprecision = "int8"'), "utf-8")
    again = Repository(stored.folder.parent).open("tiny@2")
    assert loading_bytes(again) == ((4 * (3 + 5) + 2 * 5) * MIB, 8 * MIB)


@pytest.mark.parametrize("free", [None, 18 * MIB + SPARE_BYTES])
def test_where_there_is_enough_or_nobody_knows_it_may_be_loaded(
    stored: StoredEnsemble, free: int | None
) -> None:
    require_memory(stored, lambda: free, lambda: None)


def test_what_is_missing_is_said(stored: StoredEnsemble) -> None:
    with pytest.raises(NoRoomForModel, match=r"version 2 of tiny .* 7 MiB are missing"):
        require_memory(stored, lambda: 11 * MIB + SPARE_BYTES, lambda: None)


def test_a_device_has_to_have_room_too(stored: StoredEnsemble) -> None:
    with pytest.raises(NoRoomForModel, match="device's memory, and 3 MiB are free: 5 MiB are"):
        require_memory(stored, lambda: None, lambda: DeviceMemory(used=13 * MIB, total=16 * MIB))
