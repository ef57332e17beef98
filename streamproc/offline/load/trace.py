"""A recorded trace: a file with a row for each request, which says when it came."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from streamproc.errors import SettingsError
from streamproc.offline.documents.file import open_data_file
from streamproc.offline.load.arrivals import Arrival, Replayed
from streamproc.offline.load.mix import lane_named
from streamproc.serving.tasks.catalogue import task_named

LONGEST_TEXT = 10_000_000


def read_trace(path: Path) -> Replayed:
    """The arrivals of a file, the first of them at 0.

    path: JSON Lines, JSON, CSV, TSV or Parquet; `seconds` from any beginning and in any order, and
        where they are known `characters`, `task` and `lane`
    Raises SettingsError and DataFileError, naming file and line.
    """
    with open_data_file(path, fields=("seconds",)) as file:
        if file.holds_text:
            raise SettingsError(
                f"{path}: a trace has a row for each request with a field `seconds`; this is text"
            )
        arrivals = []
        for row in file.rows():
            place = f"{path}, line {row.line}"
            if row.fault:
                raise SettingsError(f"{path}, {row.fault}")
            arrivals.append(_arrival(row.values, place))
    arrivals.sort(key=lambda one: one.at_s)
    if len(arrivals) < 2 or arrivals[-1].at_s == arrivals[0].at_s:
        raise SettingsError(f"{path}: a trace needs requests at two different seconds at least")
    first_s = arrivals[0].at_s
    return Replayed(
        [Arrival(one.at_s - first_s, one.characters, one.task, one.lane) for one in arrivals]
    )


def _arrival(values: Mapping[str, object], place: str) -> Arrival:
    if "seconds" not in values:
        there = ", ".join(map(repr, values)) or "nothing"
        raise SettingsError(f"{place}: no field 'seconds'; it has {there}")
    characters = _given(values, "characters")
    task, lane = _given(values, "task"), _given(values, "lane")
    length = None if characters is None else _number(characters, f"{place}: characters")
    if length is not None and not (1 <= length <= LONGEST_TEXT and length.is_integer()):
        raise SettingsError(f"{place}: characters is {length:g}; whole, and 1 to {LONGEST_TEXT:,}")
    seconds = _number(values["seconds"], f"{place}: seconds")
    try:
        return Arrival(
            seconds,
            None if length is None else int(length),
            None if task is None else task_named(str(task)).name,
            None if lane is None else lane_named(str(lane)),
        )
    except SettingsError as error:
        raise SettingsError(f"{place}: {error}") from None


def _given(values: Mapping[str, object], name: str) -> object:
    """A field's value; an empty cell is none."""
    value = values.get(name)
    return None if value == "" else value


def _number(value: object, what: str) -> float:
    def refuse() -> NoReturn:
        raise SettingsError(f"{what} is {value!r:.60}, which is no number")

    if isinstance(value, bool) or not isinstance(value, str | int | float):
        refuse()
    try:
        number = float(value)
    except (ValueError, OverflowError):
        refuse()
    if not math.isfinite(number):
        refuse()
    return number
