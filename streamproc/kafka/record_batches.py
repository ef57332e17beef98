"""The records of a fetch response, one by one, whatever one of them holds.

aiokafka parses a fetched batch while it hands out its records, and raises at the first that it
can't read: a header name that is not UTF-8, a checksum that does not match, a codec it does not
know. The consumer fails then, and again at the same offset after each restart. What is read here
is the same and in the same order; what can't be read comes as a record of its offset whose value
is an `UnreadableValue`, so that each gets its dead letter and the ones beside it their answers.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from streamproc.kafka.batch_header import SIZE_BYTES, BatchHeader, without_codec
from streamproc.kafka.decompression import NO_CODEC, NotDecompressed, decompressed
from streamproc.kafka.lenient_records import lenient_records, unreadable_record
from streamproc.kafka.private_api import replace_records_parser

# Base offset and length come first in every format, and are not counted in the length.
_PREFIX: Final = struct.Struct(">qi")
_MAGIC_OFFSET: Final = 16
# A batch may say that it has any number of records, and not only where its checksum is wrong.
_MOST_RECORDS: Final = 1_000_000


def read_every_record() -> None:
    """Make the consumers of this process hand out what they can't parse instead of failing."""
    replace_records_parser(FetchedRecords)


class FetchedRecords:
    """All batches of one topic-partition in a fetch response; aiokafka's `MemoryRecords`."""

    def __init__(self, data: bytes | None) -> None:
        self._size_bytes = len(data or b"")
        self._slices = deque(_slices(memoryview(data or b"")))

    def size_in_bytes(self) -> int:
        """Bytes of the response."""
        return self._size_bytes

    def has_next(self) -> bool:
        """Another whole batch is there; the last one of a response may be cut off."""
        return bool(self._slices)

    def next_batch(self) -> RecordBatch | LegacyRecordBatch:
        """The next batch; to be asked for only when there is one."""
        data = self._slices.popleft()
        magic = data[_MAGIC_OFFSET]
        # What is older has neither header names nor a producer; Kafka 4 has none of it left.
        return RecordBatch(data) if magic >= 2 else LegacyRecordBatch(bytes(data), magic)


class RecordBatch:
    """A batch that is read to its end; aiokafka's `DefaultRecordBatch` in all it does not say."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._batch: Any = DefaultRecordBatch(bytes(data))
        self._header = BatchHeader.read(data)
        self._is_intact = True
        self.base_offset = self._header.base_offset

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        """True always: records of a batch with a wrong checksum come as unreadable ones."""
        self._is_intact = bool(self._batch.validate_crc())
        return True

    @property
    def next_offset(self) -> int:
        """The offset behind the batch."""
        following = int(self._batch.next_offset)
        if self._is_intact or 0 < following - self.base_offset <= _MOST_RECORDS:
            return following
        return self.base_offset + 1

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        following, reason = self.base_offset, "the checksum of its batch is wrong"
        if self._is_intact:
            try:
                for record in self._records():
                    yield record
                    following = record.offset + 1
            except NotDecompressed as error:
                reason = str(error)
            except (ValueError, IndexError):
                reason = "a record before it in its batch does not end where it says"
            else:
                return
        # That it has two billion records, anybody can say: what can't be there is passed over.
        for offset in range(following, min(self.next_offset, following + _MOST_RECORDS)):
            yield unreadable_record(self._header, offset, reason)

    def _records(self) -> Iterator[Any]:
        batch = self._batch
        records: memoryview | bytearray | bytes = self._data[SIZE_BYTES:]
        if self._header.codec != NO_CODEC:
            records = decompressed(self._header.codec, bytes(records))
            batch = DefaultRecordBatch(without_codec(self._data, records))
        following, end = self.base_offset, self.next_offset
        try:
            for record in batch:
                if not following <= record.offset < end:
                    # It would be committed, and what is between would be passed over.
                    raise ValueError("an offset out of order")  # noqa: TRY301 - as any other damage
                yield record
                following = record.offset + 1
        except Exception:  # noqa: BLE001 - whatever the client raises, the others are read
            for record in lenient_records(self._header, records, end):
                if record.offset >= following:
                    yield record


def _slices(data: memoryview) -> Iterator[memoryview]:
    position = 0
    while len(data) - position >= _PREFIX.size:
        _, length = _PREFIX.unpack_from(data, position)
        end = position + _PREFIX.size + length
        if length <= 0 or end > len(data):
            return
        yield data[position:end]
        position = end
