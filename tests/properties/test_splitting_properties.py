from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.offline.splitting.cuts import choose_cuts
from tests.support.layered_graphs import VOCABULARY, Layered
from tests.support.staged_models import batch, cut, scores, staged, whole

graphs = st.builds(
    Layered,
    widths=st.lists(st.sampled_from([32, 40, 64]), min_size=2, max_size=5),
    hidden=st.sampled_from([32, 48]),
    stored_in_eight_bits=st.booleans(),
    per_token=st.booleans(),
    seed=st.integers(0, 100),
)
tied = st.builds(
    Layered,
    widths=st.integers(2, 5).map(lambda layers: (40,) * layers),
    tied=st.just(True),
    stored_in_eight_bits=st.booleans(),
)
shapes = st.tuples(st.integers(1, 5), st.integers(1, 40))


@settings(deadline=None, max_examples=25)
@given(graphs | tied, st.integers(2, 4), shapes)
def test_stages_one_after_another_say_what_the_whole_says_to_the_bit(
    layered: Layered, stages: int, shape: tuple[int, int]
) -> None:
    model = layered.model()
    feeds = batch(*shape, VOCABULARY)
    with tempfile.TemporaryDirectory() as folder:
        found = scores(staged(cut(model, stages, Path(folder))), feeds)

    np.testing.assert_array_equal(found, scores(whole(model), feeds))


steps = st.lists(
    st.dictionaries(st.sampled_from("abcdefghij"), st.just(0), max_size=2), min_size=2, max_size=12
)
sizes = st.fixed_dictionaries(dict.fromkeys("abcdefghij", st.integers(1, 100)))


@given(steps, sizes, st.data())
def test_every_stage_has_weights_and_none_is_much_larger_than_the_best_cut_allows(
    used: list[dict[str, int]], size: dict[str, int], data: st.DataObject
) -> None:
    weights = [{name: size[name] for name in own} for own in used]
    boundary_bytes: list[int | None] = data.draw(
        st.lists(st.integers(0, 50), min_size=len(used), max_size=len(used))
    )
    pieces = [own for own in weights if own]
    stages = data.draw(st.integers(1, max(1, len(pieces))))

    cuts = choose_cuts(weights, boundary_bytes, stages)

    found = [_size(weights[a:b]) for a, b in pairwise([0, *cuts, len(weights)])]
    assert len(found) == stages
    assert all(found) or not pieces
    assert max(found) <= 1.2 * _smallest_largest(pieces, stages)
    assert cuts == choose_cuts(weights, boundary_bytes, stages)


def _size(parts: list[dict[str, int]]) -> int:
    return sum({name: own for part in parts for name, own in part.items()}.values())


def _smallest_largest(pieces: list[dict[str, int]], stages: int) -> int:
    """By trying all ways."""
    if stages <= 1:
        return _size(pieces)
    return min(
        max(_size(pieces[:end]), _smallest_largest(pieces[end:], stages - 1))
        for end in range(1, len(pieces) - stages + 2)
    )
