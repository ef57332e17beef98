"""Protobuf's wire format, read field by field without knowing the message or copying it."""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES = 10

Field = tuple[int, int | memoryview]
"""A field's number, with its value: a number, or the bytes of a text, message or packed list."""


class NotProtobuf(ValueError):
    """Bytes end within a field, or hold what is none."""


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message in their order, those of fixed size left out; raises NotProtobuf."""
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value
        elif kind == _BYTES:
            size, place = _varint(message, place)
            if size > end - place:
                raise NotProtobuf(f"a field at byte {place} is longer than what is left")
            yield number, message[place : place + size]
            place += size
        elif kind in _FIXED_SIZES:
            place += _FIXED_SIZES[kind]
            if place > end:
                raise NotProtobuf("it ends within a number")
        else:
            raise NotProtobuf(f"there is no wire type {kind}")


def varints(packed: memoryview) -> Iterator[int]:
    """The numbers of a packed list; raises NotProtobuf."""
    place = 0
    while place < len(packed):
        value, place = _varint(packed, place)
        yield value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    value = 0
    for shift, byte in enumerate(message[place : place + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place + shift + 1
    raise NotProtobuf("it ends within a number, or a number is too long")
