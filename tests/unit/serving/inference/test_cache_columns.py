from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from streamproc.serving.inference.cache_columns import with_cache_columns
from streamproc.serving.inference.causal import CausalModel
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session import new_call
from tests.support.causal_graphs import causal


def test_what_is_appended_to_caches_becomes_an_output_beside_those_there_are() -> None:
    model = causal()

    changed, columns = with_cache_columns(model)

    assert columns == {"past_key_values.0.key": "new", "past_key_values.0.value": "new"}
    outputs = [one.name for one in onnx.load_from_string(changed).graph.output]
    assert outputs[:3] == [one.name for one in onnx.load_from_string(model).graph.output]
    assert set(outputs[3:]) == {"new"}


@pytest.mark.parametrize(
    "model",
    [
        causal(rename=("past_key_values", "past")),
        causal(rename=("present", "now")),
        causal(rename=(r"past_key_values\.0\.value", "past_key_values.1.value")),
        b"",
        b"no model",
    ],
    ids=["other caches", "other outputs", "a cache of another layer", "nothing", "no model"],
)
def test_a_graph_of_another_form_stays_as_it_is(model: bytes) -> None:
    assert with_cache_columns(model) == (model, {})


def test_steps_say_the_same_with_and_without(monkeypatch: Any) -> None:
    def scores() -> list[Any]:
        model = CausalModel("m", causal(), Provider(CPU))
        rows = model.join([model.start(np.arange(length), new_call())[1] for length in (1, 31, 7)])
        found = []
        for token in range(40):
            logits, rows = model.step(rows, np.full(3, token % 30), new_call())
            found.append(logits)
        return found

    with_columns = scores()
    monkeypatch.setattr(
        "streamproc.serving.inference.causal.with_cache_columns", lambda model: (model, {})
    )

    np.testing.assert_array_equal(with_columns, scores())
