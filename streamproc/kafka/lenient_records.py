"""The records in the bytes of a batch, those beside one that is not as it should be included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aiokafka.record.util import decode_varint

from streamproc.kafka.batch_header import BatchHeader
from streamproc.messages.record import UnreadableValue


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """What aiokafka asks of a record.

    timestamp: milliseconds since the epoch
    """

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    checksum: None = None


def lenient_records(
    header: BatchHeader, data: bytes | bytearray | memoryview, end: int
) -> Iterator[ReadRecord]:
    r"""Every record of a batch; bytes of header names that are no UTF-8 come escaped, as in `\xff`.

    data: the records, decompressed
    end:  the offset behind the batch
    A record that can't be read comes as one that says so. Raises ValueError or IndexError where
    the next one can't be found.
    """
    buffer, position, following = bytearray(data), 0, header.base_offset
    for _ in range(header.records):
        length, start = decode_varint(buffer, position)
        position = start + length
        if length < 0 or position > len(buffer):
            raise ValueError("a record ends beyond its batch")
        if following >= end:
            raise ValueError("more records than its batch has offsets")
        try:
            record = _record(header, buffer[start:position])
            if not following <= record.offset < end:
                raise ValueError("an offset out of order")  # noqa: TRY301 - as any other damage
        except (ValueError, IndexError):
            record = unreadable_record(header, following, "its lengths or its offset are wrong")
        yield record
        following = record.offset + 1


def unreadable_record(header: BatchHeader, offset: int, reason: str) -> ReadRecord:
    """Stands where a record could not be read."""
    value = UnreadableValue(reason)
    return ReadRecord(offset, header.max_timestamp, header.timestamp_type, None, value)


def _record(header: BatchHeader, data: bytearray) -> ReadRecord:
    fields = _Fields(data)
    timestamp = header.first_timestamp + fields.number()
    if header.timestamp_type:
        timestamp = header.max_timestamp
    offset = header.base_offset + fields.number()
    key, value = fields.bytes_or_none(), fields.bytes_or_none()
    headers = tuple(fields.header() for _ in range(fields.number()))
    fields.expect_end()
    return ReadRecord(offset, timestamp, header.timestamp_type, key, value, headers)


class _Fields:
    """Reads one record's fields, one behind the other; raises ValueError or IndexError."""

    def __init__(self, data: bytearray) -> None:
        self._data = data
        self._position = 1  # behind the attributes, none of which is in use

    def number(self) -> int:
        value, self._position = decode_varint(self._data, self._position)
        return int(value)

    def bytes_or_none(self) -> bytes | None:
        size = self.number()
        if size < 0:
            return None
        start, self._position = self._position, self._position + size
        if self._position > len(self._data):
            raise ValueError("a field ends beyond its record")
        return bytes(self._data[start : self._position])

    def header(self) -> tuple[str, bytes | None]:
        name = self.bytes_or_none() or b""
        return name.decode("utf-8", "backslashreplace"), self.bytes_or_none()

    def expect_end(self) -> None:
        if self._position != len(self._data):
            raise ValueError("a record is longer than its fields")
