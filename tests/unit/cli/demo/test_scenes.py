"""What the demo's scenes make of requests and responses, without any Kafka."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console, RenderableType

from streamproc.cli.demo.answers import answered
from streamproc.cli.demo.continuation import continued, token_table
from streamproc.cli.demo.entities import group_table, place_table, sliced, surest
from streamproc.cli.demo.exchange import Exchange, together_s
from streamproc.cli.demo.kill import same
from streamproc.cli.demo.sentiment import review_table
from streamproc.cli.demo.show import SCENES
from streamproc.cli.demo.summary import summary
from streamproc.cli.demo.texts import address, letter, reviews
from streamproc.cli.demo.translation import letter_table
from streamproc.serving.tasks.catalogue import TASKS

TEXT = "Ada met Bo in Berlin; Ada left.\n"


def exchange(request: dict[str, Any], result: dict[str, Any], took_s: float = 0.1) -> Exchange:
    response = {"result": result, "agreement": 0.5, "timing": {"total_ms": 12.3}}
    return Exchange("a-task", request, response, took_s)


def entity(word: str, group: str, score: float, text: str = TEXT) -> dict[str, Any]:
    start = text.index(word)
    place = {"start": start, "end": start + len(word)}
    return {"entity_group": group, "score": score, "word": word, **place}


def lines_of(shown: RenderableType, width: int = 80) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(shown)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_every_task_has_a_scene() -> None:
    assert SCENES.keys() == TASKS.keys()


def test_requests_sent_at_once_took_as_long_as_the_slowest() -> None:
    assert together_s([exchange({}, {}, 0.3), exchange({}, {}, 2.5)]) == 2.5


def test_the_surest_entity_of_every_part_that_has_one_is_chosen_in_order() -> None:
    found = [
        {"start": 90, "score": 0.2},
        {"start": 5, "score": 0.4},
        {"start": 12, "score": 0.9},
        {"start": 30, "score": 0.5},
    ]
    assert surest(found, 100, 4) == [found[2], found[3], found[0]]


def test_an_entity_whose_offsets_cut_out_something_else_is_not_counted() -> None:
    right, wrong = entity("Ada", "PER", 0.9), {**entity("Bo", "PER", 0.9), "start": 7}
    assert sliced(exchange({"text": TEXT}, {"entities": [right, wrong]})) == 1


def test_groups_are_counted_the_largest_first_with_their_words() -> None:
    found = [
        *(entity("Berlin", "LOC", 0.9), entity("Ada", "PER", 0.9)),
        *(entity("Ada", "PER", 0.8), entity("Bo", "PER", 0.7)),
    ]
    _, people, places = lines_of(group_table(found, 60))
    assert people.split() == ["PER", "3", "Ada", "2,", "Bo", "1"]
    assert places.split() == ["LOC", "1", "Berlin", "1"]


def test_an_entity_is_shown_where_it_lies() -> None:
    _, line = lines_of(place_table(TEXT, [entity("Berlin", "LOC", 0.91)], 50))
    assert line.split()[:3] == ["14", "0.910", "LOC"]
    assert "Bo in [Berlin]; Ada" in line


def test_an_answer_is_shown_where_it_stands_under_its_question() -> None:
    result = {"answer": "Bo", "score": 0.5, "start": 8, "end": 10}
    shown = answered(exchange({"question": "Who [was] met?", "context": TEXT}, result), 80)
    question, answer = lines_of(shown)
    assert question == "Who [was] met?"
    assert answer.split(maxsplit=2) == ["8", "0.500", "Ada met [Bo] in Berlin; Ada left."]


def test_paragraphs_stand_beside_paragraphs() -> None:
    table = letter_table("One.\nTwo.\n\nThree.", "Eins.\nZwei.\n\nDrei.")
    assert [line.split() for line in lines_of(table)[1:]] == [
        *(["One.", "Eins."], ["Two.", "Zwei."], [], ["Three.", "Drei."]),
    ]


def test_a_translation_of_fewer_paragraphs_leaves_nothing_out() -> None:
    shown = "\n".join(lines_of(letter_table("One.\nTwo.\n\nThree.", "Alles.")))
    assert all(line in shown for line in ("One.", "Two.", "Three.", "Alles."))


def test_a_summary_is_shown_a_line_for_each_chunk() -> None:
    result = {"summary_text": "It [is] good.\nIt ends\x07.", "finish_reason": "stop"}
    assert lines_of(summary(exchange({"text": TEXT}, result))) == ["It [is] good.", "It ends·."]


def test_a_review_is_marked_with_what_its_author_said() -> None:
    review = {"text": "a [bold] film " * 9, "metadata": {"label": "positive"}}
    said = exchange({"text": review["text"]}, {"label": "negative", "score": 0.66})
    _, line = lines_of(review_table([review], [said], 20))
    assert line.split() == [
        *("a", "[bold]", "film", "a", "…"),
        *("negative", "0.660", "50%", "12", "positive"),
    ]


@pytest.mark.parametrize(
    ("written", "shown"), [(" sat\ndown", "The cat sat down"), ("s", "The cats")]
)
def test_a_continuation_goes_on_right_where_the_prompt_ends(written: str, shown: str) -> None:
    result = {"generated_text": written, "finish_reason": "length"}
    assert lines_of(continued(exchange({"text": "The cat"}, result))) == [f"{shown} (length)"]


def test_bars_are_as_long_as_tokens_are_likely_beside_the_likeliest() -> None:
    tokens = [
        {"token": " the", "probability": 0.4},
        {"token": "\n", "probability": 0.2},
        {"token": "x", "probability": 0.0001},
    ]
    _, *rows = lines_of(token_table("She looked at", tokens))
    assert [row.split("“")[1].split("”")[0] for row in rows] == [" the", "↵", "x"]
    assert [row.count("█") for row in rows] == [10, 5, 1]


def test_results_that_differ_in_a_byte_are_not_the_same() -> None:
    before = [exchange({}, {"score": 0.1}), exchange({}, {"score": 0.3})]
    again = [exchange({}, {"score": 0.1}, 9.9), exchange({}, {"score": 0.1 + 0.2})]
    assert same(before, again) == 1


def test_texts_are_shipped_long_and_short() -> None:
    *short, long = reviews()
    assert len(short) == 300
    assert len(long["text"]) > 3_000
    assert {review["metadata"]["label"] for review in short} == {"negative", "positive"}
    assert len(address()) > 30_000
    assert [len(paragraph.splitlines()) for paragraph in letter().split("\n\n")] == [5, 5]
