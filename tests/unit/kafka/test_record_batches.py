"""Reading fetched batches: the same records as aiokafka reads, and none that ends the reading."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from streamproc.kafka.decompression import NotDecompressed, decompressed
from streamproc.kafka.record_batches import FetchedRecords
from streamproc.messages.record import UnreadableValue
from tests.support.record_batches import CODECS, RECORDS_START, batch, with_byte, with_checksum


def read(data: bytes, records_class: type[Any] = FetchedRecords) -> list[Any]:
    """All records, as the fetcher asks for them."""
    records, found = records_class(data), []
    while records.has_next():
        following = records.next_batch()
        assert following.validate_crc()
        found.extend(following)
    return found


def told(records: list[Any]) -> list[tuple[Any, ...]]:
    return [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records]


def is_unreadable(record: Any) -> bool:
    return isinstance(record.value, UnreadableValue)


@pytest.mark.parametrize("codec", CODECS)
def test_whatever_its_codec_a_batch_holds_what_aiokafka_finds_in_it(codec: str) -> None:
    values = [b"text" * number for number in range(50)]
    data = batch(values, codec=codec) + batch([None, b"x"], base_offset=50, codec=codec)
    assert told(read(data)) == told(read(data, MemoryRecords))
    assert [record.value for record in read(data)] == [*values, None, b"x"]


@pytest.mark.parametrize("codec", CODECS)
def test_a_header_name_that_is_no_utf_8_is_escaped_and_its_neighbours_are_as_they_were(
    codec: str,
) -> None:
    odd = [[], [(b"\xff\xfeabc", b"v"), (b"fine", None)], []]
    found = read(batch([b"a", b"b", b"c"], base_offset=7, codec=codec, headers=odd))
    assert [record.value for record in found] == [b"a", b"b", b"c"]
    assert [record.offset for record in found] == [7, 8, 9]
    assert [record.timestamp for record in found] == [1000, 1001, 1002]
    assert found[1].headers == (("\\xff\\xfeabc", b"v"), ("fine", None))


def test_a_wrong_checksum_makes_every_record_of_its_batch_unreadable_and_no_other() -> None:
    damaged = with_byte(batch([b"a", b"b"]), RECORDS_START + 8, 0)
    found = read(damaged + batch([b"c"], base_offset=2))
    assert [record.offset for record in found] == [0, 1, 2]
    assert [is_unreadable(record) for record in found] == [True, True, False]
    assert found[0].value.reason == "the checksum of its batch is wrong"


@pytest.mark.parametrize("codec", [5, 7])
def test_a_codec_that_nobody_knows_makes_its_records_unreadable(codec: int) -> None:
    found = read(with_checksum(with_byte(batch([b"a", b"b"]), 22, codec)))
    assert [record.value.reason for record in found] == [
        f"compression codec {codec} is not known"
    ] * 2


def test_one_record_whose_lengths_contradict_one_another_leaves_its_neighbours_alone() -> None:
    data = batch([b"aaaa", b"bbbb", b"cccc"])
    place = data.index(b"bbbb") - 1  # the length of the value
    found = read(with_checksum(with_byte(data, place, 60)))
    assert [is_unreadable(record) for record in found] == [False, True, False]
    assert [record.offset for record in found] == [0, 1, 2]


@given(
    values=st.lists(st.binary(max_size=20), min_size=1, max_size=5),
    codec=st.sampled_from(list(CODECS)),
    where=st.integers(RECORDS_START, 400),
    byte=st.integers(0, 255),
    mend=st.booleans(),
)
def test_whatever_a_batch_holds_each_of_its_offsets_comes_once_and_in_order(
    values: list[bytes], codec: str, where: int, byte: int, mend: bool
) -> None:
    data = batch(values, base_offset=3, codec=codec)
    damaged = with_byte(data, min(where, len(data) - 1), byte)
    found = read((with_checksum(damaged) if mend else damaged) + batch([b"z"], base_offset=90))
    offsets = [record.offset for record in found]
    assert offsets == sorted(set(offsets))
    assert set(offsets) <= {*range(3, 3 + len(values)), 90}
    assert found[-1].value == b"z"
    if not mend and damaged != data:
        assert offsets[:-1] == list(range(3, 3 + len(values)))
    if damaged == data:
        assert [record.value for record in found[:-1]] == values


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_a_batch_that_would_fill_the_memory_is_not_opened(codec: str) -> None:
    data = batch([bytes(3_000_000)], codec=codec)[RECORDS_START:]
    assert len(decompressed(CODECS[codec], data, 4_000_000)) > 3_000_000
    with pytest.raises(NotDecompressed, match="can't be decompressed into 2000000 bytes"):
        decompressed(CODECS[codec], data, 2_000_000)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_bytes_that_are_no_such_codec_make_the_record_unreadable(codec: str) -> None:
    data = with_checksum(with_byte(batch([b"not compressed" * 9]), 22, CODECS[codec]))
    (record,) = read(data)
    assert is_unreadable(record)


def test_a_batch_that_the_broker_cut_off_is_left_for_the_next_fetch() -> None:
    data = batch([b"a"]) + batch([b"b"], base_offset=1)[:-3]
    assert [record.value for record in read(data)] == [b"a"]


def test_a_batch_that_says_it_has_two_billion_records_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamproc.kafka.record_batches._MOST_RECORDS", 100)
    said = bytearray(batch([b"a", b"b"]))
    said[23:27] = (2**31 - 1).to_bytes(4, "big")  # the offset of its last record, from the first's
    said[57:61] = (2**31 - 1).to_bytes(4, "big")  # how many there are
    damaged = with_checksum(bytes(said))

    found = read(damaged)

    assert [record.value for record in found[:2]] == [b"a", b"b"]
    assert len(found) == 102
    assert all(map(is_unreadable, found[2:]))
