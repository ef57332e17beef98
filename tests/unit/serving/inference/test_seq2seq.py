from __future__ import annotations

import numpy as np
import pytest

from streamproc.errors import MemberFailed, ModelRefused
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.seq2seq import Seq2SeqModel
from streamproc.serving.inference.session import new_call
from tests.support.seq2seq_graphs import decoder, encoder

SOURCES = [np.arange(length) % 37 + 1 for length in (3, 33, 1, 64, 7)]


def model(encoder_graph: bytes = b"", decoder_graph: bytes = b"", start: int = 0) -> Seq2SeqModel:
    return Seq2SeqModel(
        "m", encoder_graph or encoder(), decoder_graph or decoder(), start, Provider(CPU)
    )


def test_what_was_written_makes_a_difference_to_what_comes_next_and_so_does_the_source() -> None:
    member = model()
    scores = {}
    for source in SOURCES[:2]:
        for tokens in ([5, 6], [6, 5], [7, 6]):
            _, rows = member.start(source, new_call())
            for token in tokens:
                logits, rows = member.step(rows, np.array([token]), new_call())
            scores[(len(source), *tokens)] = tuple(logits[0])

    assert len(set(scores.values())) == 6


def test_rows_of_different_lengths_are_stepped_together_as_they_are_alone() -> None:
    member = model()
    alone, rows = [], []
    for number, source in enumerate(SOURCES):
        _, row = member.start(source, new_call())
        for token in range(number % 3):
            _, row = member.step(row, np.array([token]), new_call())
        rows.append(row)
        alone.append(member.step(row, np.array([number]), new_call())[0][0])

    together, joined = member.step(member.join(rows), np.arange(len(rows)), new_call())

    assert len(joined) == len(rows)
    assert np.array_equal(together, np.stack(alone))


def test_rows_are_taken_several_times_or_not_at_all_and_in_any_order() -> None:
    member = model()
    rows = member.join([member.start(source, new_call())[1] for source in SOURCES])
    _, ahead = member.step(member.select(rows, [1, 3]), np.array([9, 8]), new_call())
    mixed = member.join([member.select(rows, [4, 0]), ahead])
    expected, _ = member.step(mixed, np.array([1, 2, 3, 4]), new_call())

    picked = member.select(mixed, [3, 0, 0, 2])
    found, after = member.step(picked, np.array([4, 1, 1, 3]), new_call())

    assert np.array_equal(found, expected[[3, 0, 0, 2]])
    assert len(after) == 4
    assert len(member.select(mixed, [])) == 0


def test_scores_that_are_no_numbers_are_the_members_failure() -> None:
    with pytest.raises(MemberFailed, match="member m: its scores are not finite"):
        model(encoder(divisor=0)).start(np.array([1, 2]), new_call())


def test_a_token_that_a_model_does_not_know_is_its_failure() -> None:
    with pytest.raises(MemberFailed, match="member m: "):
        model().start(np.array([1, 4000]), new_call())


@pytest.mark.parametrize(
    ("encoder_graph", "decoder_graph", "start", "said"),
    [
        (b"no", b"", 0, "not a model ONNX Runtime can load"),
        (encoder(inputs=("ids", "attention_mask")), b"", 0, "expected encoder inputs input_ids"),
        (encoder(output="states"), b"", 0, "an encoder output last_hidden_state.*found: states"),
        (encoder(size=4), b"", 0, "one hidden size throughout.*found 4, 8"),
        (b"", decoder(rename=("use_cache_branch", "cached")), 0, "lacking: use_cache_branch"),
        (b"", decoder(rename=("past_key_values", "past")), 0, "not known: past.0.decoder.key"),
        (b"", decoder(rename=(r"\.0\.decoder", ".0.self")), 0, "past_key_values.0.decoder.key"),
        (b"", decoder(without="present.0.encoder.key"), 0, "lacking: present.0.encoder.key"),
        (b"", decoder(size="size"), 0, "fixed in the graph; found"),
        (b"", b"", 40, "decoding.start_token is 40, its vocabulary has 40 tokens"),
        (b"", encoder(), 0, "expected decoder inputs"),
    ],
)
def test_graphs_that_are_not_what_they_should_be_are_refused(
    encoder_graph: bytes, decoder_graph: bytes, start: int, said: str
) -> None:
    with pytest.raises(ModelRefused, match=said):
        model(encoder_graph, decoder_graph, start)
