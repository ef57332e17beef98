from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from streamproc.errors import ModelRefused
from streamproc.serving.inference.graph_inspection import MAX_DEPTH, MAX_NODES, inspect_graph
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session_factory import open_session
from tests.support.causal_graphs import causal
from tests.support.hostile_models import (
    many_nodes,
    nested_graph,
    with_custom_operator,
    with_doubling_functions,
    with_endless_loop,
    with_function_that_calls_itself,
    with_huge_sparse_tensor,
    with_huge_tensor,
    with_weights_at,
)
from tests.support.onnx_models import classifier

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "custom operator": (with_custom_operator, r"operator Run of the domain 'evil\.example'"),
    "weights in another file": (lambda: with_weights_at("m.data"), r"a member is one file"),
    "weights anywhere": (lambda: with_weights_at("/etc/passwd"), r"a member is one file"),
    "huge tensor": (with_huge_tensor, r"'huge' that claims 200000000000 elements in \d\d bytes"),
    "huge sparse tensor": (with_huge_sparse_tensor, r"sparse tensor that claims 200000000000"),
    "functions that double": (lambda: with_doubling_functions(60), rf"more than {MAX_NODES} nodes"),
    "a function of itself": (with_function_that_calls_itself, r"function f0 that calls itself"),
    "nested": (lambda: nested_graph(MAX_DEPTH + 1), rf"within graphs, more than {MAX_DEPTH} deep"),
    "nodes": (lambda: many_nodes(MAX_NODES + 1), rf"more than {MAX_NODES} nodes"),
    "no ONNX": (lambda: b"\x7fELF not a model", r"not a model ONNX Runtime can load"),
    "another format": (lambda: b"\x00\x00\x00\x00ORTM", r"ONNX Runtime's own format"),
}


@pytest.mark.parametrize(("model", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_graph_that_is_not_safe_to_open_is_refused_in_one_sentence(
    model: Callable[[], bytes], reason: str
) -> None:
    with pytest.raises(ModelRefused, match=reason) as refused:
        inspect_graph("m", model())

    assert "\n" not in str(refused.value)


def test_a_graph_that_is_not_safe_is_never_opened() -> None:
    with pytest.raises(ModelRefused, match="custom operators are not loaded"):
        open_session("m", with_custom_operator(), Provider(CPU))


@pytest.mark.parametrize(
    "model",
    [
        classifier(),
        causal(),
        with_endless_loop(),  # may as well end: only time tells
        with_doubling_functions(4),
        nested_graph(MAX_DEPTH),
    ],
    ids=["classifier", "causal", "loop", "functions", "branches"],
)
def test_graphs_within_the_limits_pass(model: bytes) -> None:
    inspect_graph("m", model)


@pytest.mark.parametrize(
    "location",
    ["", ".", "..", "../m.data", "inner/m.data", "linked", "pipe", "folder", "/etc/passwd", "gone"],
)
def test_weights_elsewhere_than_in_a_regular_file_beside_the_graph_are_refused(
    tmp_path: Path, location: str
) -> None:
    beside = tmp_path / "stages"
    (beside / "folder").mkdir(parents=True)
    (beside / "inner").mkdir()
    for path in (tmp_path / "m.data", beside / "inner/m.data"):
        path.write_bytes(bytes(16))
    (beside / "linked").symlink_to(tmp_path / "m.data")
    os.mkfifo(beside / "pipe")

    with pytest.raises(ModelRefused, match="no regular file beside it"):
        inspect_graph("m", with_weights_at(location), beside)


def test_the_memory_of_the_process_is_no_place_for_weights(tmp_path: Path) -> None:
    # ONNX Runtime's own name for tensors that it has in memory, at an address of their choice.
    with pytest.raises(ModelRefused, match="no regular file beside it"):
        inspect_graph("m", with_weights_at("*/_ORT_MEM_ADDR_/*"), tmp_path)


def test_weights_in_a_regular_file_beside_the_graph_pass(tmp_path: Path) -> None:
    (tmp_path / "m.data").write_bytes(bytes(16))

    inspect_graph("m", with_weights_at("m.data"), tmp_path)


@pytest.mark.parametrize("cut", range(1, 400, 7))
def test_what_is_left_of_a_graph_that_was_cut_is_refused(cut: int) -> None:
    whole = classifier()

    with pytest.raises(ModelRefused, match="not a model ONNX Runtime can load"):
        inspect_graph("m", whole[: len(whole) * cut // 400])


def test_operators_are_found_wherever_they_stand() -> None:
    model = onnx.load_from_string(nested_graph(2))
    branches = {branch.name: branch.g for branch in model.graph.node[0].attribute}
    branches["then_branch"].node[0].attribute[0].g.node[0].domain = "evil.example"

    with pytest.raises(ModelRefused, match="custom operators are not loaded"):
        inspect_graph("m", model.SerializeToString())
