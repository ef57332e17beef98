from __future__ import annotations

import pytest

from streamproc.serving.chunking.clauses import pieces
from streamproc.serving.chunking.sentences import Sentence, sentences

FULL_LINE = "a line of more than fifty characters is broken for want of room"


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    "expected",
    [
        ["One.", "Two!", "Three?", "Four…", "Five"],
        ["Wait...", "What?!", "Oh."],
        ['He said "No!"', "Then he left.", "(Really.)", '"Why?"', "“So!”", "He shrugged."],
        ["¿Qué?", "¡Nada!", "Bien."],
        ["«Oui.»", "Elle sourit."],
        ["यह है।", "वह है।"],
        ["So do I.", "He left."],
        ["It was 1984.", "It rained."],
        ["This ends a line of the text.", "1984 begins another."],
    ],
)
def test_a_sentence_ends_at_its_stop(expected: list[str]) -> None:
    assert cut(" ".join(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Mr. Smith met Dr. Jones and Prof. Wu.",
        "J. R. R. Tolkien lived in the U.S. Army barracks.",
        "It costs 3.50 dollars, i.e. 2.5 %, e.g. Here.",
        "See no. 5, fig. 3 and p. 12.",
        "Am 3. Oktober kam er, z.B. mit Hr. Meier.",
        '"What?" he said.',
        "He stopped... then went on.",
        "Visit example.com or mail a.b@c.de now",
        "Version 1.2.3 of file.txt",
        "no stop at all",
    ],
)
def test_a_stop_inside_a_sentence_does_not_end_it(text: str) -> None:
    assert cut(text) == [text]


def test_chinese_and_japanese_need_no_space_between_sentences() -> None:
    assert cut("你好。再见！「好。」真的吗？是｡") == [
        "你好。",
        "再见！",
        "「好。」",
        "真的吗？",
        "是｡",
    ]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "\u2028", "\u0085", "\x0b", "\x0c"])
def test_paragraphs_and_short_lines_end_sentences(line_end: str) -> None:
    text = line_end.join(["A title", "", "First", "second", " \t", "third"])

    assert cut(text) == ["A title", "First", "second", "third"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_line_that_was_broken_for_want_of_room_does_not_end_one(line_end: str) -> None:
    text = f"{FULL_LINE}{line_end}and goes on here. Then{line_end}ends."

    assert cut(text) == [f"{FULL_LINE}{line_end}and goes on here.", "Then", "ends."]
    assert cut(f"{FULL_LINE}{line_end}{line_end}Next") == [FULL_LINE, "Next"]
    assert cut(f"{FULL_LINE}{line_end}- item") == [FULL_LINE, "item"]


@pytest.mark.parametrize(
    "bullet", ["-", "*", "•", "–", "1.", "12)", "(3)", "a)", "#", "##", ">", "b."]
)
def test_bullets_are_not_part_of_sentences(bullet: str) -> None:
    assert cut(f"{bullet} milk\n\t{bullet} eggs. Ham.") == ["milk", "eggs.", "Ham."]


@pytest.mark.parametrize(
    "text", ["", "  ", "\r\n\n", "* * *", "-----", "1984.", "👍🏽 🎉", "\u200b", "…"]
)
def test_what_has_no_letter_is_no_sentence(text: str) -> None:
    assert cut(text) == []


def words(text: str) -> list[int]:
    """A token for every word."""
    return (
        [at for at in range(1, len(text) + 1) if at == len(text) or text[at] == " "] if text else []
    )


def letters(text: str) -> list[int]:
    """A token for every character."""
    return list(range(1, len(text) + 1))


def test_a_sentence_that_fits_is_one_piece() -> None:
    assert list(pieces("x one two", Sentence(2, 9), words, 2)) == [(2, 9)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two, three four; five six, seven", ["one two, three four;", "five six, seven"]),
        ("one two three, four five six", ["one two three,", "four five six"]),
        ("one two three – four five six", ["one two three", "– four five six"]),
        ("one, two three four five six", ["one, two three four five", "six"]),
        ("one two three four five six", ["one two three four five", "six"]),
    ],
)
def test_a_longer_one_is_cut_at_a_clause_or_else_between_words(
    text: str, expected: list[str]
) -> None:
    found = pieces(text, Sentence(0, len(text)), words, 5)

    assert [text[start:end] for start, end in found] == expected


def test_a_word_longer_than_a_model_takes_is_cut_where_no_character_is_parted() -> None:
    family, flag = "👩\u200d👩\u200d👧", "🇩🇪"
    text = "ab" + family + "c" + flag + "e\u0301"

    found = list(pieces(text, Sentence(0, len(text)), letters, 6))

    assert "".join(text[start:end] for start, end in found) == text
    assert [text[start:end] for start, end in found] == ["ab", family + "c", flag + "e\u0301"]


@pytest.mark.parametrize("end", ["", " ", "\n"])
def test_a_text_that_ends_in_a_hundred_thousand_spaced_full_stops_is_read_once(end: str) -> None:
    text = "And so on" + " ." * 100_000

    assert list(sentences(text + end)) == [Sentence(0, len(text))]
