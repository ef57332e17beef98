"""Where a load's report is to be written is looked at before minutes are spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.cli.load_output import LoadFiles
from streamproc.errors import SettingsError


def test_a_new_folder_and_a_file_of_yesterday_will_do(tmp_path: Path) -> None:
    (tmp_path / "load.json").write_text("of yesterday", "utf-8")
    LoadFiles(tmp_path / "load.json", tmp_path / "new" / "a.html", tmp_path / "b").require_places()

    assert (tmp_path / "load.json").read_text("utf-8") == "of yesterday"
    assert [path.name for path in tmp_path.iterdir()] == ["load.json"]


def test_a_folder_and_a_place_below_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")

    for path in (tmp_path, tmp_path / "file" / "load.json"):
        with pytest.raises(SettingsError, match="can't write"):
            LoadFiles(path, None, None).require_places()
    with pytest.raises(SettingsError, match=r"load\.png"):
        LoadFiles(None, None, tmp_path / "file").require_places()
