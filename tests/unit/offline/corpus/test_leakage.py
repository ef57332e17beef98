from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.offline.corpus.items import RowItem
from streamproc.offline.corpus.leakage import Leakage, normalised
from streamproc.offline.corpus.rows import CorpusRow


def items(*texts: str) -> list[RowItem]:
    return [
        RowItem(CorpusRow(Path("c.jsonl"), n, {}), text, {}, ()) for n, text in enumerate(texts, 1)
    ]


def leakage(**splits: list[RowItem]) -> Leakage:
    found = Leakage()
    for name, rows in splits.items():
        found.start(name)
        for row in rows:
            found.add(name, [row])
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Where is it?", "  where\tIS it?\n"),
        ("STRASSE", "straße"),
        ("ﬁne", "fine"),
        ("cafe\u0301", "café"),
        ("１２", "12"),
    ],
)
def test_texts_are_the_same_whatever_their_case_width_and_white_space(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"), [("a b", "ab"), ("is it", "is it?"), ("resume", "résumé")]
)
def test_texts_that_differ_in_anything_else_stay_different(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(st.text())
def test_a_normalised_text_is_its_own_normal_form(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@given(*[st.lists(st.sampled_from("abcdefgh")) for _ in range(3)])
def test_every_text_of_an_earlier_split_is_found_and_counted_for_the_first_that_has_it(
    train: list[str], valid: list[str], test: list[str]
) -> None:
    splits = {"train": items(*train), "valid": items(*valid), "test": items(*test)}

    found = leakage(**splits)

    in_train = [text in train for text in test]
    in_valid = [text in valid and text not in train for text in test]
    expected = {
        ("valid", "train"): sum(text in train for text in valid),
        ("test", "train"): sum(in_train),
        ("test", "valid"): sum(in_valid),
    }
    assert found.counts == {key: count for key, count in expected.items() if count}
    assert found.without_leaked("test", splits["test"]) == [
        item for item, a, b in zip(splits["test"], in_train, in_valid, strict=True) if not (a or b)
    ]
    assert found.without_leaked("train", splits["train"]) == splits["train"]


def test_a_text_that_one_split_has_twice_is_no_leak() -> None:
    assert not leakage(train=items("a", "a"), valid=items("b", "b")).counts


def test_a_leak_names_its_file_its_line_and_the_split_that_had_it_first() -> None:
    found = leakage(train=items("a"), valid=items("b", "A "))

    assert found.examples == ["c.jsonl, line 2 (in train too): 'A '"]
