"""Recorded traces: what is read of them, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.errors import SettingsError
from streamproc.messages.lane import Lane
from streamproc.offline.load.arrivals import Arrival
from streamproc.offline.load.trace import read_trace


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_a_trace_begins_at_its_first_request_whatever_the_order_of_its_rows(
    tmp_path: Path,
) -> None:
    rows = (
        '{"seconds": 1700000003.5, "characters": 40, "task": "translation", "lane": "bulk"}\n'
        '{"seconds": 1700000001.0}\n'
    )
    trace = read_trace(written(tmp_path, "trace.jsonl", rows))

    assert trace.recorded == [Arrival(0.0), Arrival(2.5, 40, "translation", Lane.BULK)]
    assert trace.rate_per_s == pytest.approx(0.4)
    assert trace.lasts_s(trace.rate_per_s) == pytest.approx(5.0)


def test_an_empty_cell_of_a_csv_says_nothing(tmp_path: Path) -> None:
    trace = read_trace(
        written(tmp_path, "trace.csv", "seconds,characters,lane\n0,,\n0.5,300,interactive\n")
    )

    assert trace.recorded == [Arrival(0.0), Arrival(0.5, 300, None, Lane.INTERACTIVE)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('{"seconds": 1}\n{"at": 2}\n', "line 2: no field 'seconds'; it has 'at'"),
        ('{"seconds": "soon"}\n{"seconds": 2}\n', "line 1: seconds is 'soon'"),
        ('{"seconds": true}\n{"seconds": 2}\n', "line 1: seconds is True"),
        ('{"seconds": 1}\n{"seconds": 2, "characters": 0}\n', "line 2: characters is 0"),
        ('{"seconds": 1}\n{"seconds": 2, "characters": 2.5}\n', "line 2: characters is 2.5"),
        ('{"seconds": 1, "lane": "fast"}\n{"seconds": 2}\n', "line 1: no lane 'fast'"),
        ('{"seconds": 1, "task": "translate"}\n{"seconds": 2}\n', "line 1: no task 'translate'"),
        ('{"seconds": 1}\n', "two different seconds"),
        ('{"seconds": 1}\n{"seconds": 1}\n', "two different seconds"),
        ('{"seconds": 1}\n{not json\n', "line 2 is not JSON"),
    ],
)
def test_what_is_no_trace_is_refused_with_its_line(tmp_path: Path, rows: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_trace(written(tmp_path, "trace.jsonl", rows))

    assert said in str(refused.value)
