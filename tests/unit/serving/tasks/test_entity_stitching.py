from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from streamproc.serving.tasks.entities import EntityBuilder, Tagging, TokenRun
from streamproc.serving.tasks.entity_stitching import LongestSpanStitcher, without_overlaps


def entity(start: int, end: int, group: str = "LOC", score: float = 0.9) -> dict[str, Any]:
    return {"entity_group": group, "score": score, "start": start, "end": end}


LONG = entity(4, 13, score=0.6)


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        pytest.param([], [], id="none"),
        pytest.param([entity(0, 8), LONG], [LONG], id="the longer, though it scores less"),
        pytest.param([LONG, entity(8, 12)], [LONG], id="the longer, though it comes first"),
        pytest.param(
            [entity(0, 8), entity(0, 8, "ORG", 0.95)],
            [entity(0, 8, "ORG", 0.95)],
            id="of equally long ones the surer",
        ),
        pytest.param(
            [entity(0, 8), entity(0, 8, "ORG")], [entity(0, 8)], id="of equal ones the first"
        ),
        pytest.param([entity(0, 4), LONG], [entity(0, 4), LONG], id="both that only touch"),
        pytest.param([LONG, entity(0, 4)], [entity(0, 4), LONG], id="in the order of the text"),
        pytest.param(
            [entity(0, 4), entity(3, 8), entity(7, 9)],
            [entity(3, 8)],
            id="each beside the one that stayed before it",
        ),
    ],
)
def test_of_overlapping_entities_stays(
    found: list[dict[str, Any]], kept: list[dict[str, Any]]
) -> None:
    assert without_overlaps(found) == kept


def test_within_one_window_nothing_goes_though_tokens_share_a_character() -> None:
    """As in transformers; byte-level tokens of one emoji do so."""
    shared = TokenRun(np.eye(2), np.array([[0, 1], [0, 1]]), (), 1)
    window = slice(0, 2)
    one, two = (
        LongestSpanStitcher(partial(EntityBuilder, "🙂", Tagging(("PER", "LOC"), ()), "simple"))
        for _ in range(2)
    )
    one.add(shared, window)
    two.add(shared, window)
    two.skip()

    assert [entity["entity_group"] for entity in one.entities()] == ["PER", "LOC"]
    assert [entity["entity_group"] for entity in two.entities()] == ["PER"]
