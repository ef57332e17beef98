from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import TrainingError
from streamproc.offline.corpus.partitioning import ByField, ByHash, partitioning_from
from streamproc.offline.corpus.records import LabelledText
from tests.support.corpora import parts_of


def record(text: str, **fields: str) -> LabelledText:
    return LabelledText(text, "1", fields)


@given(st.lists(st.text()), st.integers(1, 5))
def test_hash_parts_hold_every_record_once_and_do_not_depend_on_order(
    texts: list[str], count: int
) -> None:
    records = [record(text) for text in texts]

    forward = parts_of(records, ByHash(count))
    backward = parts_of(reversed(records), ByHash(count))

    assert sorted(r.text for part in forward.values() for r in part) == sorted(texts)
    assert {k: {r.text for r in v} for k, v in forward.items()} == {
        k: {r.text for r in v} for k, v in backward.items()
    }


def test_equal_texts_share_a_hash_part() -> None:
    parts = parts_of([record("same", n=str(n)) for n in range(20)], ByHash(4))

    assert len(parts) == 1


def test_hash_parts_stay_what_they_were_in_earlier_releases() -> None:
    names = [ByHash(3).part_of(record(text)) for text in ("a", "b", "c")]

    assert names == ["part-2-of-3", "part-2-of-3", "part-3-of-3"]


def test_hash_parts_are_of_about_equal_size() -> None:
    parts = parts_of([record(f"text {n}") for n in range(3000)], ByHash(3))

    assert [900 < len(part) < 1100 for part in parts.values()] == [True] * 3


def test_a_field_gives_a_part_for_each_value_named_fit_for_a_folder() -> None:
    records = [record("1", shop="B/../b"), record("2", shop="a"), record("3", shop="a")]

    parts = parts_of(records, ByField("shop"))

    assert {name: [r.text for r in part] for name, part in parts.items()} == {
        "a": ["2", "3"],
        "b-b": ["1"],
    }
    assert list(parts) == ["a", "b-b"]


def test_a_record_without_the_field_is_an_error_that_names_its_fields() -> None:
    with pytest.raises(TrainingError, match=r"'shop'.*city"):
        parts_of([record("1", city="x")], ByField("shop"))


def test_a_value_too_long_to_name_a_part_is_no_domain() -> None:
    with pytest.raises(TrainingError, match="1 to 64 letters"):
        ByField("page").part_of(record("1", page="x" * 65))


@pytest.mark.parametrize(
    ("one", "other", "is_same"), [("C", "C++", False), ("Home  Garden", "home garden", True)]
)
def test_two_values_are_one_part_only_where_their_letters_are_the_same(
    one: str, other: str, is_same: bool
) -> None:
    by = ByField("language")
    name = by.part_of(record("1", language=one))

    if is_same:
        assert by.part_of(record("2", language=other)) == name
    else:
        with pytest.raises(TrainingError, match=r"'c' and 'c\+\+' would both be the part 'c'"):
            by.part_of(record("2", language=other))


@pytest.mark.parametrize("written", ["hash:", "hash:0", "hash:x", "hash:-1", "other:3"])
def test_a_partitioning_that_makes_no_sense_is_refused(written: str) -> None:
    with pytest.raises(TrainingError, match="hash:N"):
        partitioning_from(written)


def test_partitionings_are_read_as_users_write_them() -> None:
    assert partitioning_from("hash:3") == ByHash(3)
    assert partitioning_from("domain") == ByField("domain")
