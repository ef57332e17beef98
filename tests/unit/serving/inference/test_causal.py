from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamproc.errors import MemberFailed, ModelRefused
from streamproc.serving.inference.causal import PIECE_TOKENS, CausalModel
from streamproc.serving.inference.device_array import DeviceArray
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session import new_call
from tests.support.causal_graphs import causal


def member(**graph: Any) -> CausalModel:
    return CausalModel("m", causal(**graph), Provider(CPU))


def ids(*tokens: int) -> Any:
    return np.array(tokens, np.int64)


def test_a_sequence_has_the_same_scores_read_at_once_and_token_by_token() -> None:
    model = member()
    expected, _ = model.start(ids(3, 1, 4, 1, 5), new_call())

    scores, rows = model.start(ids(3), new_call())
    for token in (1, 4, 1, 5):
        (scores,), rows = model.step(rows, ids(token), new_call())

    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert scores.dtype == np.float64
    assert rows.lengths.tolist() == [5]


def test_a_long_prompt_is_read_in_pieces_and_scored_as_a_whole() -> None:
    model = member(positions=2000)
    prompt = np.random.default_rng(1).integers(0, 40, 2 * PIECE_TOKENS + 7)

    whole, rows = model.start(prompt, new_call())
    almost, before = model.start(prompt[:-1], new_call())
    (stepped,), _ = model.step(before, prompt[-1:], new_call())

    np.testing.assert_allclose(whole, stepped, rtol=1e-4)
    assert rows.lengths.tolist() == [len(prompt)]
    assert not np.allclose(whole, almost)


def test_rows_are_chosen_doubled_left_out_and_joined() -> None:
    model = member()
    prompts = [ids(1), ids(2, 3), ids(4, 5, 6)]
    started = [model.start(prompt, new_call())[1] for prompt in prompts]
    rows = model.select(model.join([started[2], started[0], started[1]]), [1, 1, 2])

    scores, stepped = model.step(rows, ids(7, 8, 9), new_call())

    for row, read in enumerate([(1, 7), (1, 8), (2, 3, 9)]):
        expected, _ = model.start(ids(*read), new_call())
        np.testing.assert_allclose(scores[row], expected, rtol=1e-5)
    assert stepped.lengths.tolist() == [2, 2, 3]


def test_a_step_leaves_the_rows_it_is_given_as_they_were() -> None:
    model = member()
    _, rows = model.start(ids(1, 2), new_call())

    first, _ = model.step(rows, ids(3), new_call())
    again, _ = model.step(rows, ids(3), new_call())

    np.testing.assert_array_equal(first, again)
    assert rows.lengths.tolist() == [2]


def test_rows_step_again_and_again_across_blocks() -> None:
    model = member()
    random = np.random.default_rng(2)
    histories = [random.integers(0, 40, length).tolist() for length in (1, 30, 31, 33)]
    rows = model.join([model.start(ids(*read), new_call())[1] for read in histories])

    for _ in range(40):
        tokens = random.integers(0, 40, len(histories))
        scores, rows = model.step(rows, tokens, new_call())
        for history, token in zip(histories, tokens.tolist(), strict=True):
            history.append(token)

    for row, read in enumerate(histories):
        expected, _ = model.start(ids(*read), new_call())
        np.testing.assert_allclose(scores[row], expected, rtol=1e-4)


def test_short_rows_are_not_padded_to_the_length_of_a_long_one() -> None:
    model = member(positions=4000)
    random = np.random.default_rng(3)
    prompts = [random.integers(0, 40, length) for length in (5, 3000, 9, 31, 64, 2900, 7)]
    alone = [model.start(prompt, new_call())[1] for prompt in prompts]
    tokens = random.integers(0, 40, len(prompts))

    scores, stepped = model.step(model.join(alone), tokens, new_call())

    assert sum(row.block.columns for row in stepped.rows) < 3 * sum(map(len, prompts))
    assert stepped.lengths.tolist() == [len(prompt) + 1 for prompt in prompts]
    for row, rows in enumerate(alone):
        expected, _ = model.step(rows, tokens[row : row + 1], new_call())
        np.testing.assert_array_equal(scores[row], expected[0])
    further, _ = model.step(stepped, tokens, new_call())
    for row, prompt in enumerate(prompts):
        expected_next, _ = model.start(np.append(prompt, [tokens[row]] * 2), new_call())
        np.testing.assert_allclose(further[row], expected_next, rtol=1e-4, atol=1e-3)


def test_a_model_without_position_ids_is_given_none() -> None:
    model = member(without="position_ids")

    scores, _ = model.start(ids(1, 2, 3), new_call())

    assert scores.shape == (40,)


def test_scores_that_are_not_finite_are_the_members_failure() -> None:
    with pytest.raises(MemberFailed, match="not finite"):
        member(divisor=0.0).start(ids(1), new_call())


def test_a_token_the_model_does_not_know_is_the_members_failure() -> None:
    with pytest.raises(MemberFailed, match="member m"):
        member().start(ids(40), new_call())


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ({"without": "present.0.value"}, r"outputs logits and present.*found inputs input_ids"),
        ({"rename": ("logits", "odds")}, "found .* outputs odds"),
        (
            {"rename": ("past_key_values", "past")},
            r"past_key_values\.N\.key .*found .*past\.0\.key",
        ),
        ({"rename": ("attention_mask", "mask")}, "attention_mask .*found inputs input_ids, mask"),
        ({"extra_input": "token_type_ids"}, "found inputs .*token_type_ids"),
        ({"rows": 1}, r"input_ids has fixed sizes \[1, 'sequence_length'\]"),
        ({"size": "any"}, r"cache past_key_values\.0\.key must be .*heads and size fixed"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused_with_what_was_expected_and_found(
    graph: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelRefused, match=said) as refused:
        member(**graph)

    assert "member m" in str(refused.value)


def test_a_model_with_too_few_positions_is_refused() -> None:
    model = member(positions=64)

    model.try_longest(64, new_call())
    with pytest.raises(ModelRefused, match=r"the last of 65 tokens; is decoding\.max_tokens"):
        model.try_longest(65, new_call())


def test_what_is_no_onnx_file_is_refused() -> None:
    with pytest.raises(ModelRefused, match="member m: not a model ONNX Runtime can load"):
        CausalModel("m", b"nothing", Provider(CPU))


def test_caches_on_the_device_say_the_same_as_caches_in_place() -> None:
    here = member(positions=600)
    there = CausalModel("m", causal(positions=600), Provider(CPU), binds=True)
    random = np.random.default_rng(4)
    prompts = [random.integers(0, 40, length) for length in (1, 30, 33, 300)]
    found = []
    for model in (here, there):
        draw = np.random.default_rng(5)
        rows = model.join([model.start(prompt, new_call())[1] for prompt in prompts])
        scores = []
        for step in range(12):
            if step == 4:
                rows = model.select(rows, [3, 0, 0])
            if step == 8:
                rows = model.join([rows, model.start(prompts[1], new_call())[1]])
            logits, rows = model.step(rows, draw.integers(0, 40, len(rows)), new_call())
            scores.append(logits)
        found.append(scores)

    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_rows_that_go_on_together_on_the_device_are_not_copied_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = CausalModel("m", causal(), Provider(CPU), binds=True)
    # So far apart in length that they are stepped in two calls.
    prompts = [ids(1, 2), np.arange(300) % 40, ids(1, 2)]
    rows = model.join([model.start(prompt, new_call())[1] for prompt in prompts])
    _, rows = model.step(rows, ids(3, 4, 5), new_call())
    assert len({row.block for row in rows.rows}) == 2
    monkeypatch.setattr(DeviceArray, "here", refuse)

    for _ in range(3):
        _, rows = model.step(rows, ids(3, 4, 5), new_call())
    _, one = model.start(ids(5), new_call())
    _, one = model.read_on(one, ids(6, 7), new_call())

    assert rows.lengths.tolist() == [6, 304, 6]
    assert one.lengths.tolist() == [3]


def refuse(_: DeviceArray) -> None:
    raise AssertionError("what is on the device was copied from it")
