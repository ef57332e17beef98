"""The cases of transformers' own tests of this pipeline are among these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from streamproc.serving.tasks.entities import Aggregation, Entity, EntityBuilder, Tagging, TokenRun

BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
Token = tuple[str, bool, dict[str, float]]
"""A token's text, whether it continues a word, its labels' probabilities."""


def entities(
    tokens: Sequence[Token],
    aggregation: Aggregation = "simple",
    labels: Sequence[str] = BIO,
    ignored: Sequence[str] = ("O",),
    runs: int = 1,
) -> list[Entity]:
    """The entities of a text in which a space stands before every word, taken in `runs`."""
    text, spans = "", []
    for token, continues, _ in tokens:
        text += token if continues else " " + token
        spans.append((len(text) - len(token), len(text)))
    run = TokenRun(
        np.array([[said.get(label, 0.0) for label in labels] for _, _, said in tokens]),
        np.array(spans, np.int64).reshape(-1, 2),
        [continues for _, continues, _ in tokens],
        1,
    )
    builder = EntityBuilder(text, Tagging(labels, ignored), aggregation)
    for part in np.array_split(np.arange(len(tokens)), runs):
        if len(part):
            builder.add(run.part(slice(int(part[0]), int(part[-1]) + 1)))
    found = builder.entities()
    assert all(text[entity["start"] : entity["end"]] == entity["word"] for entity in found)
    return found


def told(found: Sequence[Entity]) -> list[tuple[Any, ...]]:
    return [(e.get("entity_group") or e["entity"], e["word"], round(e["score"], 6)) for e in found]


def labelled(*tokens: tuple[str, str], score: float = 0.9) -> list[Token]:
    return [(token, False, {label: score}) for token, label in tokens]


def test_a_beginning_begins_an_entity_though_its_like_goes_before() -> None:
    tokens = labelled(("Ada", "B-PER"), ("King", "I-PER"), ("Babbage", "B-PER"))

    assert told(entities(tokens)) == [("PER", "Ada King", 0.9), ("PER", "Babbage", 0.9)]


def test_an_inside_without_a_beginning_begins_an_entity() -> None:
    tokens = labelled(("in", "O"), ("Paris", "I-LOC"), ("Ada", "I-PER"), ("King", "I-PER"))

    assert told(entities(tokens)) == [("LOC", "Paris", 0.9), ("PER", "Ada King", 0.9)]


def test_a_plain_tag_goes_on_until_another_comes() -> None:
    labels = ("O", "LOC", "creative-work", "E-LOC")
    tokens = labelled(("New", "LOC"), ("York", "LOC"), ("on", "O"), ("York", "LOC"))

    assert told(entities(tokens, labels=labels)) == [
        ("LOC", "New York", 0.9), ("LOC", "York", 0.9)
    ]  # fmt: skip


def test_what_stands_before_a_hyphen_is_left_out_of_a_group_but_tells_tags_apart() -> None:
    labels = ("O", "LOC", "creative-work", "E-LOC")
    tokens = labelled(("New", "LOC"), ("York", "E-LOC"), ("Times", "creative-work"))

    assert told(entities(tokens, labels=labels)) == [
        ("LOC", "New", 0.9), ("LOC", "York", 0.9), ("work", "Times", 0.9)
    ]  # fmt: skip


def test_a_group_scores_the_mean_of_its_tokens() -> None:
    tokens: list[Token] = [("Ada", False, {"B-PER": 0.6}), ("King", False, {"I-PER": 0.9})]

    assert told(entities(tokens)) == [("PER", "Ada King", 0.75)]


def test_without_aggregation_every_token_stands_alone_with_its_label_and_place() -> None:
    tokens = labelled(("in", "O"), ("Paris", "I-LOC"))

    assert entities(tokens, "none") == [
        {"entity": "I-LOC", "score": 0.9, "index": 2, "word": "Paris", "start": 4, "end": 9}
    ]


MICROSOFT: list[Token] = [
    ("Mic", False, {"B-LOC": 0.3, "I-PER": 0.2, "O": 0.1}),
    ("ro", True, {"I-PER": 0.9, "B-LOC": 0.1}),
    ("soft", True, {"I-LOC": 0.5, "I-PER": 0.1, "B-LOC": 0.5}),
    ("pays", False, {"O": 0.8}),
]


@pytest.mark.parametrize(
    ("aggregation", "found"),
    [
        # On a tie the first label counts.
        ("simple", [("LOC", "Mic", 0.3), ("PER", "ro", 0.9), ("LOC", "soft", 0.5)]),
        ("first", [("LOC", "Microsoft", 0.3)]),
        ("max", [("PER", "Microsoft", 0.9)]),
        ("average", [("PER", "Microsoft", 0.4)]),
    ],
)
def test_a_word_takes_one_label_by_the_way_asked_for(
    aggregation: Aggregation, found: list[Any]
) -> None:
    assert told(entities(MICROSOFT, aggregation)) == found


def test_of_equally_sure_tokens_the_first_one_names_its_word() -> None:
    tokens: list[Token] = [("a", False, {"B-PER": 0.7}), ("b", True, {"B-LOC": 0.7})]

    assert told(entities(tokens, "max")) == [("PER", "ab", 0.7)]


def test_words_of_an_entity_count_alike_whatever_their_length() -> None:
    tokens: list[Token] = [
        ("a", False, {"B-PER": 0.5}),
        ("b", True, {"I-PER": 0.5}),
        ("c", False, {"I-PER": 1.0}),
    ]

    assert told(entities(tokens, "first")) == [("PER", "ab c", 0.75)]
    assert told(entities(tokens, "simple")) == [("PER", "ab c", pytest.approx(2 / 3, abs=1e-6))]


def test_a_token_that_continues_nothing_begins_a_word() -> None:
    assert told(entities([("soft", True, {"I-LOC": 0.5})], "first")) == [("LOC", "soft", 0.5)]


@pytest.mark.parametrize("aggregation", ["none", "simple", "first", "average", "max"])
def test_it_makes_no_difference_where_runs_of_tokens_are_cut(aggregation: Aggregation) -> None:
    tokens = MICROSOFT * 3

    for runs in range(2, len(tokens) + 1):
        assert entities(tokens, aggregation, runs=runs) == entities(tokens, aggregation)


def test_labels_or_groups_are_left_out_as_asked() -> None:
    tokens = labelled(("Ada", "B-PER"), ("in", "O"), ("Paris", "B-LOC"))

    assert told(entities(tokens, ignored=["PER", "B-LOC"])) == [
        ("O", "in", 0.9), ("LOC", "Paris", 0.9)
    ]  # fmt: skip
    assert told(entities(tokens, "none", ignored=["PER", "B-LOC"])) == [
        ("B-PER", "Ada", 0.9), ("O", "in", 0.9)
    ]  # fmt: skip


def test_what_is_ignored_still_parts_entities() -> None:
    tokens = labelled(("Paris", "I-LOC"), ("and", "O"), ("London", "I-LOC"))

    assert [word for _, word, _ in told(entities(tokens))] == ["Paris", "London"]


def test_a_label_nobody_knows_is_never_chosen() -> None:
    unknown = float("nan")
    tokens: list[Token] = [("a", False, {"O": unknown, "B-PER": 0.2}), ("b", True, {"O": unknown})]

    assert told(entities(tokens)) == [("PER", "a", 0.2), ("PER", "b", 0.0)]


@pytest.mark.parametrize("aggregation", ["none", "simple", "first", "average", "max"])
def test_no_tokens_are_no_entities(aggregation: Aggregation) -> None:
    assert entities([], aggregation) == []
