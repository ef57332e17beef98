"""The header of a batch of records in the format that Kafka has had since 0.11 (magic 2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Self

# base offset, length, leader epoch, magic, checksum, attributes, last offset delta, first and
# largest timestamp, producer's id and epoch, base sequence, number of records
_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_ATTRIBUTES: Final = struct.Struct(">h")
_ATTRIBUTES_OFFSET: Final = 21
_CODEC_MASK: Final = 0x07
_APPEND_TIME: Final = 0x08
SIZE_BYTES: Final = _HEADER.size


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """What is said of all records of a batch; timestamps in milliseconds since the epoch."""

    base_offset: int
    codec: int
    timestamp_type: int
    first_timestamp: int
    max_timestamp: int
    records: int

    @classmethod
    def read(cls, data: memoryview) -> Self:
        """The header at the beginning of a batch; raises struct.error where it is cut off."""
        base_offset, _, _, _, _, attributes, _, first, largest, *_, records = _HEADER.unpack_from(
            data
        )
        is_append_time = int(bool(attributes & _APPEND_TIME))
        return cls(base_offset, attributes & _CODEC_MASK, is_append_time, first, largest, records)


def without_codec(data: memoryview, records: bytes | bytearray) -> bytes:
    """A batch of the same header whose records are not compressed; its checksum is not set."""
    (attributes,) = _ATTRIBUTES.unpack_from(data, _ATTRIBUTES_OFFSET)
    header = bytearray(data[:SIZE_BYTES])
    _ATTRIBUTES.pack_into(header, _ATTRIBUTES_OFFSET, attributes & ~_CODEC_MASK)
    return bytes(header + records)
