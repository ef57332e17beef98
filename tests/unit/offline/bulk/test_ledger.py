"""The file of answers that an interrupted run leaves."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import pytest

from streamproc.errors import SettingsError
from streamproc.offline.bulk.ledger import Ledger

OF = b"0123456789abcdef" * 2


def test_lines_are_read_back_with_what_they_replace(tmp_path: Path) -> None:
    with Ledger(tmp_path / "part") as ledger:
        first = ledger.append(1, OF, b'{"id":"a","status":"error"}')
        second = ledger.append(1, OF, b'{"id":"a","status":"ok"}', instead=first)

    with Ledger(tmp_path / "part") as again:
        read = [(line.place, line.row, line.of, line.instead) for line in again.lines()]
        assert read == [(first, 1, OF, None), (second, 1, OF, first)]
        assert again.answer_at(second) == b'{"id":"a","status":"ok"}'


def test_a_line_that_was_spoilt_in_the_middle_is_left_out_and_the_others_count(
    tmp_path: Path,
) -> None:
    path = tmp_path / "part"
    with Ledger(path) as ledger:
        places = [ledger.append(n, OF, b'{"status":"ok"}') for n in (1, 2, 3)]
    spoilt = bytearray(path.read_bytes())
    spoilt[places[1] + 5 : places[1] + 40] = bytes(35)
    path.write_bytes(spoilt)

    with Ledger(path) as again:
        assert [line.row for line in again.lines()] == [1, 3]
        assert path.stat().st_size == len(spoilt)


@pytest.mark.parametrize("content", [b"a recipe", b"a recipe\n", b'{"id": 1}\n', b'{"rows": 1}'])
def test_a_file_that_is_none_of_ours_is_refused_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "part"
    path.write_bytes(content)

    with pytest.raises(SettingsError, match="none of streamproc's: move it"), Ledger(path):
        pass

    assert path.read_bytes() == content


def test_a_file_that_its_last_owner_removed_is_not_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "part"
    opened: list[IO[Any]] = []

    def removed_in_between(self: Path, mode: str = "r", buffering: int = -1) -> IO[Any]:
        file = plain(self, mode, buffering)
        if "a" in mode:
            opened.append(file)
            if len(opened) == 1:
                path.unlink()
        return file

    plain = Path.open
    monkeypatch.setattr(Path, "open", removed_in_between)

    with Ledger(path) as ledger:
        ledger.append(1, OF, b'{"status":"ok"}')

    assert len(opened) == 2
    assert opened[0].closed
    assert path.read_bytes().count(b"\n") == 1
