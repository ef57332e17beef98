"""Passages of a document: all of it, in order, none longer than a model takes."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from streamproc.serving.chunking.passages import passages
from streamproc.serving.chunking.sentences import Sentence
from streamproc.testing.generative import build_byte_tokenizer

TOKENIZER = build_byte_tokenizer()
WORDS = st.sampled_from(
    [
        "a",
        "bridge",
        "Dr.",
        "3.5",
        "—",
        "你好。",
        "end.",
        "why?",
        "no!",
        "\n\n",
        "\t",
        "- ",
        "👩‍👩‍👧",
        "x" * 40,
    ]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=120).map(" ".join) | st.text(min_size=1, max_size=200)


def ends_of(part: str) -> list[int]:
    return [int(end) for end in TOKENIZER.encode(part).offsets[:, 1]]


def cut(text: str, most: int, run: int = 7) -> list[Sentence]:
    """Passages, the tokens' ends handed over in runs of so many."""
    ends = ends_of(text)

    def in_runs() -> Iterator[list[int]]:
        for start in range(0, len(ends), run):
            yield ends[start : start + run]

    return list(passages(text, in_runs(), ends_of, most))


@given(TEXTS, st.integers(4, 60), st.integers(1, 50))
def test_passages_with_the_whitespace_between_are_the_text_and_each_fits(
    text: str, most: int, run: int
) -> None:
    found = cut(text, most, run)

    place = 0
    for passage in found:
        assert text[place : passage.start].strip() == ""
        assert passage.start < passage.end
        # A character that is cut into more tokens than fit is one passage all the same.
        within = text[passage.start : passage.end]
        assert len(ends_of(within)) <= most or len(within) == 1
        place = passage.end
    assert text[place:].strip() == ""


@given(TEXTS, st.integers(4, 60))
def test_a_text_that_fits_is_one_passage_to_the_last_blank(text: str, most: int) -> None:
    found = cut(text, max(most, len(ends_of(text))))

    assert found == [Sentence(0, len(text))]


@given(TEXTS, st.integers(4, 60), st.integers(1, 50))
def test_how_far_tokens_are_read_ahead_changes_nothing(text: str, most: int, run: int) -> None:
    assert cut(text, most, run) == cut(text, most, 10_000)
