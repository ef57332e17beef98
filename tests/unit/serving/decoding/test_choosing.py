from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from streamproc.serving.decoding.bans import BannedSequences
from streamproc.serving.decoding.logits_processors import LogitsProcessors, LogitsRules
from streamproc.serving.decoding.sampling import Odds, Sampling, TokenSampler
from streamproc.serving.decoding.warping import probabilities, top_k, top_p
from streamproc.types import FloatArray, Int64Array

LOGITS = np.log([0.1, 0.4, 0.3, 0.2])
NOTHING = np.empty(0, np.int64)


def tokens(*ids: int) -> Int64Array:
    return np.array(ids, np.int64)


def processors(**rules: Any) -> LogitsProcessors:
    return LogitsProcessors(LogitsRules(**rules))


def kept(logits: FloatArray) -> list[int]:
    return [int(token) for token in np.flatnonzero(logits > -np.inf)]


def test_the_likeliest_token_is_chosen_without_lots() -> None:
    assert TokenSampler().choose(LOGITS, NOTHING, is_last=False) == 1


def test_of_equally_likely_tokens_the_first_is_chosen() -> None:
    assert TokenSampler().choose(np.zeros(5), NOTHING, is_last=False) == 0


def test_the_same_seed_gives_the_same_lots_and_another_gives_others() -> None:
    def drawn(seed: int) -> list[int]:
        choice = TokenSampler(Sampling(seed))
        return [choice.choose(LOGITS, NOTHING, is_last=False) for _ in range(30)]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


def test_lots_fall_as_the_probabilities_say() -> None:
    choice = TokenSampler(Sampling(1))

    fell = Counter(choice.choose(LOGITS, NOTHING, is_last=False) for _ in range(20_000))

    shares = [fell[token] / 20_000 for token in range(4)]
    np.testing.assert_allclose(shares, [0.1, 0.4, 0.3, 0.2], atol=0.015)


def test_a_token_without_probability_is_never_drawn() -> None:
    logits = np.array([-np.inf, 0.0, -np.inf, 0.0, -np.inf])
    choice = TokenSampler(Sampling(1))

    assert {choice.choose(logits, NOTHING, is_last=False) for _ in range(500)} == {1, 3}


def test_a_penalty_makes_what_was_said_less_likely_on_either_side_of_zero() -> None:
    logits = np.array([2.0, -2.0, 1.0])

    changed = processors(repetition_penalty=2.0)(logits[None], [tokens(0, 1, 0)], is_last=False)

    assert changed.tolist() == [[1.0, -4.0, 1.0]]
    assert logits.tolist() == [2.0, -2.0, 1.0]


def test_top_k_keeps_those_as_likely_as_the_last() -> None:
    assert kept(top_k(np.array([1.0, 3.0, 2.0, 2.0]), 2)) == [1, 2, 3]
    assert kept(top_k(np.array([1.0, 3.0]), 50)) == [0, 1]


@pytest.mark.parametrize(
    ("p", "expected"), [(0.3, [1]), (0.45, [1, 2]), (0.85, [1, 2, 3]), (0.95, [0, 1, 2, 3])]
)
def test_top_p_keeps_the_fewest_that_come_to_p(p: float, expected: list[int]) -> None:
    assert kept(top_p(LOGITS, p)) == expected


def test_the_likeliest_is_kept_however_small_p_is() -> None:
    assert kept(top_p(LOGITS, 1e-12)) == [1]


def test_probabilities_sum_to_one_beside_what_is_impossible() -> None:
    assert probabilities(np.array([0.0, -np.inf, 0.0])).tolist() == [0.5, 0.0, 0.5]


def test_no_end_token_comes_before_the_least_length() -> None:
    choice = TokenSampler(None, LogitsProcessors(LogitsRules(min_new_tokens=2), end_tokens=(1,)))

    chosen = [choice.choose(LOGITS, tokens(*[0] * n), is_last=False) for n in range(3)]

    assert chosen == [2, 2, 1]


def test_a_banned_token_is_not_chosen() -> None:
    choice = TokenSampler(None, processors(banned=BannedSequences([(1,)])))

    assert choice.choose(LOGITS, NOTHING, is_last=False) == 2


def test_no_run_of_tokens_is_written_twice() -> None:
    choice = TokenSampler(None, processors(no_repeat_ngram_size=2))

    assert choice.choose(LOGITS, tokens(3, 1, 3), is_last=False) == 2


def test_where_everything_is_forbidden_a_token_is_chosen_all_the_same() -> None:
    everything = processors(banned=BannedSequences([(0,), (1,), (2,), (3,)]))

    for sampling in (None, Sampling(1), Sampling(1, Odds(0.5, 2, 0.5, 0.1, 0.5, 0.1, 0.1))):
        chosen = TokenSampler(sampling, everything).choose(LOGITS, NOTHING, is_last=False)
        assert chosen in range(4)
