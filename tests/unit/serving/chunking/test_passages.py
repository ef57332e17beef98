from __future__ import annotations

from streamproc.serving.chunking.passages import passages
from streamproc.testing.generative import build_byte_tokenizer

TOKENIZER = build_byte_tokenizer()


def ends_of(part: str) -> list[int]:
    return [int(end) for end in TOKENIZER.encode(part).offsets[:, 1]]


def cut(text: str, most: int) -> list[str]:
    """Passages of at most so many letters, each of which is a token."""
    found = passages(text, iter([ends_of(text)]), ends_of, most)
    return [text[passage.start : passage.end] for passage in found]


def test_a_passage_is_as_many_whole_sentences_as_fit() -> None:
    text = "One is here. Two is there. Three is on top. Four is below. Five is the last of them."

    assert cut(text, 30) == [
        "One is here. Two is there.",
        "Three is on top.",
        "Four is below.",
        "Five is the last of them.",
    ]


def test_what_is_left_for_two_passages_makes_two_of_about_one_length() -> None:
    text = "One one. " * 6 + "Two."

    found = cut(text, 50)

    assert found == ["One one. One one. One one.", "One one. One one. One one. Two."]


def test_a_paragraph_that_begins_with_a_bullet_keeps_it() -> None:
    text = "- The first of them is long.\n- The second of them is long."

    assert cut(text, 40) == ["- The first of them is long.", "- The second of them is long."]


def test_a_sentence_that_is_too_long_is_cut_at_a_clause() -> None:
    text = "The council met on Monday; it agreed to build a bridge, and then to close the old one."

    assert cut(text, 60) == [
        "The council met on Monday;",
        "it agreed to build a bridge, and then to close the old one.",
    ]


def test_a_text_without_letters_is_cut_too() -> None:
    text = "1984 1985 1986 1987 1988 1989"

    assert cut(text, 10) == ["1984 1985", "1986 1987", "1988 1989"]


def test_what_is_left_without_a_sentence_is_shared_out_as_well() -> None:
    assert [len(part) for part in cut("x" * 26, 10)] == [10, 8, 8]
