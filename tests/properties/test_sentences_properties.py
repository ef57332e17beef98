"""Whatever the text, sentences and what stands between them are the text, and so are pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.serving.chunking.clauses import pieces
from streamproc.serving.chunking.sentences import Sentence, sentences
from tests.support.translators import TOKENIZER, build_translating_engine, translated

AWKWARD = st.sampled_from(
    [
        *(
            "One two.",
            "Dr. No",
            "3.5",
            '"What?" he',
            "...",
            "…",
            "。",
            "！」",
            "你好",
            "؟",
            "مرحبا",
        ),
        *(
            "- ",
            "1. ",
            "ab. ",
            "# ",
            "> ",
            "* * *",
            "; ",
            ", ",
            " – ",
            "—",
            ": ",
            "x" * 60,
            ".",
            "?!",
        ),
        *(
            "👩‍👩‍👧‍👦",
            "👍🏽",
            "🇩🇪🇫🇷",
            "e\u0301",
            "\u0301",
            "\u200d",
            "\u200b",
            "각",
            "\u202eabc\u202c",
        ),
        *(
            " ",
            "  ",
            "\t",
            "\n",
            "\r\n",
            "\n\n",
            "\r",
            "\u00a0",
            "\u3000",
            "\u2028",
            "\x0b",
            "\x85",
        ),
        *("\x00", "\ufffd", "\U0010ffff", "I.", "U.S."),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(AWKWARD, max_size=40).map("".join))


def token_ends(text: str) -> list[int]:
    return [int(end) for end in TOKENIZER.encode(text).offsets[:, 1]]


@given(TEXTS)
def test_between_sentences_stands_nothing_that_is_to_be_translated(text: str) -> None:
    found = list(sentences(text))

    assert all(start < end for start, end in found)
    assert all(before.end <= after.start for before, after in pairwise(found))
    ends = [0, *(end for _, end in found)]
    starts = [*(start for start, _ in found), len(text)]
    for end, start in zip(ends, starts, strict=True):
        between = text[end:start].split()
        # Bullets of one letter are all that may stand there with one.
        assert all(len(part) <= 3 or not any(map(str.isalpha, part)) for part in between)
    for start, end in found:
        assert text[start:end] == text[start:end].strip()
        assert any(map(str.isalpha, text[start:end]))


@given(TEXTS, st.integers(4, 20))
def test_pieces_of_a_sentence_fit_and_are_the_sentence(text: str, max_tokens: int) -> None:
    found = list(pieces(text, Sentence(0, len(text)), token_ends, max_tokens))

    end = 0
    for piece in found:
        assert not text[end : piece.start].strip()
        assert piece.start < piece.end
        assert len(token_ends(text[piece.start : piece.end])) <= max_tokens
        end = piece.end
    assert not text[end:].strip()


@given(TEXTS)
async def test_members_that_copy_give_the_text_back(text: str) -> None:
    answer = await translated(build_translating_engine(), text)

    # Line ends inside a sentence become spaces, and pieces without a space between may get one.
    assert "".join(answer.result["translation_text"].split()) == "".join(text.split())
    assert answer.coverage.characters_covered == len(text)


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        ".",
        "ab. ",
        "\n",
        " ",
        '."',
        "x" * 60 + "\n",
        ". ",
        "A.",
        '"',
        "- ",
        "。",
        "\u0301",
        "1) ",
    ],
)
def test_a_long_run_of_one_thing_is_gone_through_once(unit: str) -> None:
    # Looking at a run again from each of its characters would take hours here.
    text = unit * (400_000 // len(unit))

    found = list(sentences(text))

    letters = sum(map(str.isalpha, unit))
    seen = sum(sum(map(str.isalpha, text[start:end])) for start, end in found)
    assert seen == letters * (400_000 // len(unit))
