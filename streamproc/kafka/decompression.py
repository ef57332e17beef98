"""Compressed batches of records, opened up to a bound.

A batch of 2 MiB may hold gigabytes: zstd shrinks zeroes ten thousand times, and aiokafka would
read all of it into memory before the first record is looked at.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import cramjam
from aiokafka.codec import snappy_decode

NO_CODEC: Final = 0
MOST_BYTES: Final = 256 * 1024 * 1024
_CODECS: Final = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_GZIP_OR_ZLIB: Final = 47
_FIRST_ROOM_BYTES: Final = 64 * 1024
_GUESSED_RATIO: Final = 8


class NotDecompressed(Exception):
    """A batch that can't be opened; the message says why."""


def decompressed(codec: int, data: bytes, most_bytes: int = MOST_BYTES) -> bytes | bytearray:
    """The records of a batch as they were before its producer compressed them.

    codec: the number in the batch's attributes
    Raises NotDecompressed.
    """
    name = _CODECS.get(codec)
    if name is None:
        raise NotDecompressed(f"compression codec {codec} is not known")
    try:
        if name == "gzip":
            return _gunzipped(data, most_bytes)
        if name == "snappy":
            # It shrinks nothing more than some twenty times.
            return bytes(snappy_decode(data))
        return _into_growing_room(getattr(cramjam, name), data, most_bytes)
    except NotDecompressed:
        raise
    except Exception as error:  # noqa: BLE001 - each codec has errors of its own
        kind = type(error).__name__
        raise NotDecompressed(f"its batch is no {name} that can be read ({kind})") from None


def _gunzipped(data: bytes, most_bytes: int) -> bytes:
    found, left = bytearray(), data
    while left:
        member = zlib.decompressobj(_GZIP_OR_ZLIB)
        found += member.decompress(left, most_bytes + 1 - len(found))
        if len(found) > most_bytes:
            raise _too_large(most_bytes)
        if not member.eof:
            raise EOFError
        left = member.unused_data
    return bytes(found)


def _into_growing_room(codec: Any, data: bytes, most_bytes: int) -> bytearray:
    room_bytes = min(most_bytes, max(_FIRST_ROOM_BYTES, _GUESSED_RATIO * len(data)))
    while True:
        room = bytearray(room_bytes)
        try:
            size_bytes = codec.decompress_into(data, room)
        except cramjam.DecompressionError:
            # It does not tell a room that is too small from what is no such data.
            if room_bytes == most_bytes:
                raise _too_large(most_bytes) from None
            room_bytes = min(most_bytes, room_bytes * _GUESSED_RATIO)
        else:
            del room[size_bytes:]
            return room


def _too_large(most_bytes: int) -> NotDecompressed:
    return NotDecompressed(f"its batch can't be decompressed into {most_bytes} bytes")
