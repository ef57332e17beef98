from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from streamproc.serving.decoding.bans import BannedSequences
from streamproc.serving.decoding.beams import BeamOptions, BeamSearch
from streamproc.serving.decoding.logits_processors import LogitsProcessors, LogitsRules
from streamproc.serving.decoding.search import Decoded, StepScores
from streamproc.types import FloatArray

END, A, B, C = range(4)
Odds = Callable[[Sequence[int]], Sequence[float]]


def found(
    odds: Odds,
    options: BeamOptions,
    prompt: Sequence[int] = (9,),
    rules: LogitsRules | None = None,
) -> Decoded:
    """What a search finds where odds(written) are the next token's probabilities."""
    processors = LogitsProcessors(rules, prompt_tokens=len(prompt), end_tokens=options.end_tokens)
    search = BeamSearch(options, np.array(prompt, np.int64), processors)
    written: list[list[int]] = [[]]
    for _ in range(options.max_new_tokens):
        rows = np.log(np.array([odds(tokens) for tokens in written]))
        advance = search.advance(StepScores(rows, entropy_of(rows), np.ones(len(rows)) / 2))
        if advance.is_done:
            return search.result()
        written = [
            [*written[parent], token]
            for parent, token in zip(advance.parents.tolist(), advance.tokens.tolist(), strict=True)
        ]
    raise AssertionError("the search did not end")


def entropy_of(log_probabilities: FloatArray) -> FloatArray:
    return np.asarray(np.arange(len(log_probabilities)), np.float64) + 1


def garden_path(written: Sequence[int]) -> Sequence[float]:
    """A is likelier at first, but leads to nothing sure; B leads to an end."""
    if not written:
        return [0.02, 0.5, 0.4, 0.08]
    if written[0] == A:
        return [0.3, 0.25, 0.25, 0.2]
    return [0.9, 0.04, 0.03, 0.03]


def options(beams: int, max_new_tokens: int = 6, **more: object) -> BeamOptions:
    return BeamOptions(beams, max_new_tokens, (END,), **more)  # type: ignore[arg-type]


def test_one_beam_takes_the_likeliest_and_several_look_further() -> None:
    assert found(garden_path, options(1, early_stopping=True)).tokens.tolist() == [A]
    assert found(garden_path, options(2)).tokens.tolist() == [B]


def test_what_ends_a_sequence_is_not_part_of_it() -> None:
    ended = found(garden_path, options(2))

    assert ended.finish_reason == "stop"
    assert ended.agreement == 0.5
    assert ended.entropy == pytest.approx((1 + 2) / 2)


def test_a_sequence_that_may_not_go_on_is_cut() -> None:
    never_ending = found(lambda _: [0.01, 0.5, 0.29, 0.2], options(2, 3))

    assert never_ending.tokens.tolist() == [A, A, A]
    assert never_ending.finish_reason == "length"


def test_a_length_penalty_prefers_longer_sequences() -> None:
    def odds(written: Sequence[int]) -> Sequence[float]:
        return [0.45, 0.4, 0.1, 0.05] if len(written) < 3 else [0.97, 0.01, 0.01, 0.01]

    assert found(odds, options(2, length_penalty=0.0)).tokens.tolist() == []
    assert found(odds, options(2, length_penalty=5.0)).tokens.tolist() == [A, A, A]


def test_early_stopping_takes_what_ended_first() -> None:
    def odds(written: Sequence[int]) -> Sequence[float]:
        if len(written) < 2:
            return [0.3, 0.4, 0.2, 0.1]
        return [0.97, 0.01, 0.01, 0.01]

    early = found(odds, options(2, length_penalty=3.0, early_stopping=True))
    late = found(odds, options(2, length_penalty=3.0))

    assert len(early.tokens) < len(late.tokens)


def test_of_equals_the_lower_token_is_taken() -> None:
    alike = found(lambda _: [0.01, 0.33, 0.33, 0.33], options(3, 2))

    assert alike.tokens.tolist() == [A, A]


def test_a_banned_token_is_never_written() -> None:
    rules = LogitsRules(banned=BannedSequences([(A,)]))

    assert found(garden_path, options(1), rules=rules).tokens.tolist() == [B]


def test_no_run_is_written_twice() -> None:
    def odds(written: Sequence[int]) -> Sequence[float]:
        return [0.1, 0.2, 0.3, 0.4] if len(written) % 2 else [0.1, 0.6, 0.2, 0.1]

    free = found(odds, options(1, 6, early_stopping=True))
    rules = LogitsRules(no_repeat_ngram_size=2)
    bound = found(odds, options(1, 6, early_stopping=True), rules=rules)

    assert free.tokens.tolist() == [A, C, A, C, A, C]
    assert bound.tokens.tolist() == [A, C, A, B, A, A]


def test_what_was_read_counts_as_written_when_runs_are_looked_for() -> None:
    rules = LogitsRules(no_repeat_ngram_size=1)

    once = found(lambda _: [0.1, 0.4, 0.3, 0.2], options(1, 5), (A,), rules)

    assert once.tokens.tolist() == [B, C]


@pytest.mark.parametrize("beams", [1, 3])
def test_an_end_forced_on_the_last_token_is_a_cut_unless_it_would_have_come(beams: int) -> None:
    rules = LogitsRules(forced_end_token=END)

    def ending(written: Sequence[int]) -> Sequence[float]:
        return [0.97, 0.01, 0.01, 0.01] if len(written) == 2 else [0.01, 0.9, 0.05, 0.04]

    cut = found(lambda _: [0.01, 0.9, 0.05, 0.04], options(beams, 3), rules=rules)
    whole = found(ending, options(beams, 3), rules=rules)

    assert (cut.tokens.tolist(), cut.finish_reason) == ([A, A], "length")
    assert (whole.tokens.tolist(), whole.finish_reason) == ([A, A], "stop")


def test_a_search_ends_where_no_token_is_left_to_write() -> None:
    # An end token alone is never banned, but may be suppressed.
    everything = LogitsRules(suppressed_tokens=(END, A, B, C))

    nothing = found(garden_path, options(2), rules=everything)

    assert (nothing.tokens.tolist(), nothing.finish_reason) == ([], "length")


def test_more_beams_than_tokens_are_as_many_as_there_are() -> None:
    assert found(garden_path, options(64)).tokens.tolist() == [B]
