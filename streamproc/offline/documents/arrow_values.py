"""Values of Arrow as Python values that say the same.

Times are made of the integers that they are stored as: pyarrow's own conversion drops nanoseconds
of a time of day, needs pandas for those of a timestamp, and a time zone's rules for an instant.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa

UNREADABLE = (pa.ArrowException, ArithmeticError, LookupError, ValueError)
"""What is raised for a value that Python does not have, as a year after 9999 or wrong UTF-8."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of local times too
_DAY = timedelta(days=1)
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}

Restore = Callable[[Any], Any]


def python_values(column: pa.Array) -> list[Any]:
    """The values of a column, nested ones too; raises one of UNREADABLE.

    Instants are in UTC. What has nanoseconds beside its microseconds is text, as ISO 8601 and
    `str` of a timedelta have it, with nine digits.
    """
    stored, restore = _stored(column.type)
    if stored.equals(column.type):
        return list(column.to_pylist())
    return [_or_none(restore, value) for value in column.cast(stored).to_pylist()]


def _stored(kind: pa.DataType) -> tuple[pa.DataType, Restore]:
    """A type with integers in the place of times, and what makes times of them again."""
    types = pa.types
    if types.is_dictionary(kind):
        stored, restore = _stored(kind.value_type)
        return (kind if stored.equals(kind.value_type) else stored), restore
    if types.is_struct(kind):
        members = {field.name: _stored(field.type) for field in kind}
        struct = pa.struct([field.with_type(members[field.name][0]) for field in kind])
        return struct, partial(_struct, {name: restore for name, (_, restore) in members.items()})
    if types.is_map(kind):
        (keys, key), (items, item) = _stored(kind.key_type), _stored(kind.item_type)
        made = pa.map_(kind.key_field.with_type(keys), kind.item_field.with_type(items))
        return made, partial(_map, key, item)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        elements, restore = _stored(kind.value_type)
        return _list_of(kind, kind.value_field.with_type(elements)), partial(_list, restore)
    return _stored_time(kind)


def _stored_time(kind: pa.DataType) -> tuple[pa.DataType, Restore]:
    """As `_stored`, of a type that holds no others."""
    if pa.types.is_timestamp(kind):
        return pa.int64(), partial(_timestamp, kind)
    if pa.types.is_time(kind):
        integers = pa.int32() if pa.types.is_time32(kind) else pa.int64()
        return integers, partial(_time_of_day, kind)
    if pa.types.is_duration(kind):
        return pa.int64(), partial(_duration, kind)
    return kind, _same


def _list_of(kind: pa.DataType, element: pa.Field) -> pa.DataType:
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(element, kind.list_size)
    return pa.large_list(element) if pa.types.is_large_list(kind) else pa.list_(element)


def _or_none(restore: Restore, value: Any) -> Any:
    return None if value is None else restore(value)


def _same(value: Any) -> Any:
    return value


def _struct(members: dict[str, Restore], value: dict[str, Any]) -> dict[str, Any]:
    return {name: _or_none(members[name], one) for name, one in value.items()}


def _map(key: Restore, item: Restore, value: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    return [(key(name), _or_none(item, one)) for name, one in value]


def _list(restore: Restore, value: list[Any]) -> list[Any]:
    return [_or_none(restore, one) for one in value]


def _timestamp(kind: pa.TimestampType, value: int) -> datetime | str:
    since, nanoseconds = _length(value, kind.unit)
    at = _EPOCH + since
    if nanoseconds:
        zone = "" if kind.tz is None else "+00:00"
        return _with_nanoseconds(at.isoformat(), nanoseconds) + zone
    return at if kind.tz is None else at.replace(tzinfo=UTC)


def _time_of_day(kind: pa.DataType, value: int) -> object:
    since, nanoseconds = _length(value, kind.unit)
    if not timedelta(0) <= since < _DAY:
        raise ValueError(f"{value} {kind.unit} is no time of a day")
    at = (_EPOCH + since).time()
    return _with_nanoseconds(at.isoformat(), nanoseconds) if nanoseconds else at


def _duration(kind: pa.DurationType, value: int) -> timedelta | str:
    length, nanoseconds = _length(value, kind.unit)
    return _with_nanoseconds(str(length), nanoseconds) if nanoseconds else length


def _length(value: int, unit: str) -> tuple[timedelta, int]:
    """So many of a unit, and the nanoseconds above, less than a microsecond."""
    microseconds, rest = divmod(value, 1_000) if unit == "ns" else (value * _MICROSECONDS[unit], 0)
    return timedelta(microseconds=microseconds), rest


def _with_nanoseconds(written: str, nanoseconds: int) -> str:
    """A time whose digits end with microseconds, of which there are none where these are 0."""
    return f"{written}{'' if '.' in written else '.000000'}{nanoseconds:03}"
