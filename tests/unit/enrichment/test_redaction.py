from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.enrichment.redaction import Mask, masked, masks_of


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ([], "Ada met Bob"),
        ([Mask(0, 3, "<PER>"), Mask(8, 11, "<PER>")], "<PER> met <PER>"),
        ([Mask(0, 7, "<A>"), Mask(4, 11, "<B>")], "<A>"),
        ([Mask(0, 11, "<A>"), Mask(4, 7, "<B>")], "<A>"),
        ([Mask(0, 3, "<A>"), Mask(0, 7, "<B>")], "<B> Bob"),
        ([Mask(0, 3, "<A>"), Mask(3, 7, "<B>")], "<A><B> Bob"),
        ([Mask(0, 3, ""), Mask(0, 3, "")], " met Bob"),
    ],
)
def test_masks_stand_for_what_they_cover(masks: list[Mask], expected: str) -> None:
    assert masked("Ada met Bob", masks) == expected
    assert masked("Ada met Bob", masks[::-1]) == expected


def test_entities_of_the_labels_are_masked_grouped_or_by_token() -> None:
    entities = [
        {"entity_group": "PER", "start": 0, "end": 3},
        {"entity_group": "LOC", "start": 4, "end": 7},
        {"entity": "B-PER", "start": 8, "end": 9},
    ]
    assert masks_of(entities, ["PER"], "[{label}]") == [Mask(0, 3, "[PER]"), Mask(8, 9, "[PER]")]


def naive(text: str, masks: list[Mask]) -> str:
    """Character by character: a covered one is hidden, and a run is told by who began it."""
    out, at = "", 0
    ordered = sorted(masks, key=lambda one: (one.start, -one.end, one.text))
    while at < len(text):
        begins = next((one for one in ordered if one.start == at and one.end > at), None)
        if begins is None:
            out, at = out + text[at], at + 1
            continue
        out, end = out + begins.text, begins.end
        while any(one.start < end < one.end for one in ordered):
            end = max(one.end for one in ordered if one.start < end < one.end)
        at = end
    return out


SPANS = st.tuples(st.integers(0, 12), st.integers(0, 12), st.sampled_from(["<A>", "<B>", ""]))


@given(st.text(min_size=12, max_size=12), st.lists(SPANS, max_size=6))
def test_redaction_is_what_a_naive_reference_says(
    text: str, spans: list[tuple[int, int, str]]
) -> None:
    masks = [Mask(min(a, b), max(a, b), with_) for a, b, with_ in spans]
    assert masked(text, masks) == naive(text, masks)
