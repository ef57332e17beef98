"""Batches of records as clients write them, those that aiokafka's producer never would included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from streamproc.kafka.batch_header import SIZE_BYTES

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
NamedBytes = tuple[bytes, bytes | None]


class _Name(str):
    """A header's name that is encoded as the bytes it was given as."""

    __slots__ = ("raw",)
    raw: bytes

    def encode(self, *_: Any) -> bytes:
        return self.raw


def batch(
    values: Sequence[bytes | None],
    *,
    base_offset: int = 0,
    codec: str = "none",
    headers: Sequence[Sequence[NamedBytes]] = (),
) -> bytes:
    """One batch; record n has the headers[n], and 1000 + n for its timestamp."""
    builder = _DefaultRecordBatchBuilderPy(2, CODECS[codec], 0, -1, -1, -1, 1 << 28)
    for number, value in enumerate(values):
        pairs = []
        for raw, content in headers[number] if number < len(headers) else ():
            name = _Name()
            name.raw = raw
            pairs.append((name, content))
        builder.append(number, 1000 + number, b"key", value, pairs)
    built = bytearray(builder.build())
    built[:8] = base_offset.to_bytes(8, "big")
    return bytes(built)


def with_byte(data: bytes, position: int, byte: int) -> bytes:
    """The same, one byte of it another; its checksum stays that of the original."""
    return data[:position] + bytes([byte]) + data[position + 1 :]


def with_checksum(data: bytes) -> bytes:
    """The same with the checksum that belongs to it."""
    from aiokafka.record.util import calc_crc32c

    return data[:17] + int(calc_crc32c(data[21:])).to_bytes(4, "big") + data[21:]


RECORDS_START = SIZE_BYTES
