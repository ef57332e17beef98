from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamproc.cli.demo.excerpt import excerpt, one_line, shortened, visible
from tests.support.awkward_texts import TEXTS

SPEECH = "We meet today.\nOur presence in Berlin, our free access\nthereto, remains."


def placed(word: str, width: int, text: str = SPEECH) -> str:
    start = text.index(word)
    return excerpt(text, start, start + len(word), width).plain


def test_a_piece_is_in_brackets_among_the_words_around_it() -> None:
    assert placed("Berlin", 30) == "… in [Berlin], our …"


def test_a_line_with_room_for_all_of_a_text_shows_it_uncut() -> None:
    assert placed("Berlin", 100) == " ".join(SPEECH.split()).replace("Berlin", "[Berlin]")


def test_what_one_side_leaves_free_the_other_takes() -> None:
    assert placed("We", 24) == "[We] meet today. Our …"
    assert placed("remains.", 24) == "… thereto, [remains.]"


def test_a_piece_longer_than_the_line_is_shown_whole_and_alone() -> None:
    assert placed("Our presence", 5) == "[Our presence]"


def test_a_text_is_cut_between_words_where_it_has_any() -> None:
    assert shortened("a lovely film", 10) == "a lovely …"
    assert shortened("a lovely film", 9) == "a …"
    assert shortened("Donaudampfschiff", 6) == "Donau…"
    assert shortened("a lovely film", 13) == "a lovely film"
    assert shortened("a", 0) == ""


def test_what_a_terminal_would_obey_is_shown_instead() -> None:
    assert visible("a\n\tb\x1b[31mc\u202e") == "a↵→b·[31mc·"


@given(TEXTS, st.data(), st.integers(0, 120))
def test_whatever_the_text_an_excerpt_is_one_line_of_its_width_with_the_piece_in_it(
    text: str, data: st.DataObject, width: int
) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    piece = f"[{visible(one_line(text[start:end]))}]"

    shown = excerpt(text, start, end, width).plain

    assert piece in shown
    assert len(shown) <= max(width, len(piece))
    assert shown.isprintable()
