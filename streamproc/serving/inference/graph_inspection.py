"""What an ONNX graph claims, looked at before ONNX Runtime opens it.

A models folder may come from anybody. What is refused here could make ONNX Runtime load code or
files of somebody else's choice, or take memory and time without bound before it says anything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from streamproc.errors import ModelRefused
from streamproc.serving.inference.protobuf_wire import NotProtobuf, fields, varints

MAX_NODES: Final = 200_000
"""Of a graph, those of graphs within it and of every call of a function included; a decoder of
eight billion parameters has some ten thousand."""

MAX_TENSORS: Final = 200_000
"""Of weights and constants together."""

MAX_DEPTH: Final = 16
"""Of graphs within nodes of graphs."""

MAX_AXES: Final = 64
"""Of a tensor; NumPy has as many."""

MAX_TENSOR_ELEMENTS: Final = 2**31
"""Of a sparse tensor, which is as large in memory as it says; one file has at most 2 GiB."""

# ONNX's own, and those that ONNX Runtime brings and its optimiser and quantiser write.
_DOMAINS: Final = frozenset(
    {
        "",
        "ai.onnx",
        "ai.onnx.ml",
        "com.microsoft",
        "com.microsoft.nchwc",
        "com.ms.internal.nhwc",
    }
)
# Four bits are the smallest number that a tensor holds; two to the byte, and as much to spare.
_MOST_ELEMENTS_PER_BYTE: Final = 4
# Of the format that ONNX Runtime keeps for itself, which is no protobuf.
_ORT_FORMAT: Final = b"ORTM"
_EXTERNAL: Final = 1

_Operator = tuple[str, str]
"""Domain and name."""

_Body = Counter[_Operator]
"""How often each operator stands in a graph or function, graphs within its nodes included."""


def inspect_graph(name: str, model: bytes, weights_folder: Path | None = None) -> None:
    """Raise ModelRefused for a graph that is not safe to open.

    name: of the member, for the message
    weights_folder: where files that the graph refers to lie; None: it may refer to none
    """
    try:
        _Inspection(weights_folder).model(model)
    except NotProtobuf as error:
        raise ModelRefused(f"member {name}: not a model ONNX Runtime can load: {error}") from None
    except _Refused as reason:
        raise ModelRefused(
            f"member {name}: not a model ONNX Runtime may load: its graph {reason}"
        ) from None


class _Refused(Exception):
    """What a graph does that is refused, as the end of a sentence."""


class _Inspection:
    """Of one model; counts as it goes, so that no graph is read further than the limits."""

    def __init__(self, weights_folder: Path | None) -> None:
        self._weights_folder = weights_folder
        self._nodes = self._tensors = 0

    def model(self, content: bytes) -> None:
        if content[4:8] == _ORT_FORMAT:
            raise NotProtobuf("it has ONNX Runtime's own format; an ONNX file is served")
        whole = _Body()
        functions: dict[_Operator, _Body] = {}
        for number, value in fields(memoryview(content)):
            if number == 7 and isinstance(value, memoryview):
                self._graph(value, whole, depth=0)
            elif number == 25 and isinstance(value, memoryview):
                self._function(value, functions)
        for domain, operator in _operators(whole, functions):
            if domain not in _DOMAINS and (domain, operator) not in functions:
                raise _Refused(
                    f"has the operator {operator} of the domain {domain!r}, which neither ONNX nor "
                    "ONNX Runtime defines; custom operators are not loaded"
                )
        _require_few(_expanded(whole, functions))

    def _function(self, message: memoryview, functions: dict[_Operator, _Body]) -> None:
        name = domain = ""
        body = _Body()
        for number, value in fields(message):
            if not isinstance(value, memoryview):
                continue
            if number == 1:
                name = _text(value)
            elif number == 10:
                domain = _text(value)
            elif number == 7:
                self._node(value, body, depth=0)
            elif number == 11:
                self._attribute(value, body, depth=0)
        # Overloads of a name count as one that holds them all.
        functions.setdefault((domain, name), _Body()).update(body)

    def _graph(self, message: memoryview, body: _Body, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _Refused(f"has graphs within graphs, more than {MAX_DEPTH} deep")
        for number, value in fields(message):
            if not isinstance(value, memoryview):
                continue
            if number == 1:
                self._node(value, body, depth)
            elif number == 5:
                self._tensor(value)
            elif number == 15:
                self._sparse_tensor(value)

    def _node(self, message: memoryview, body: _Body, depth: int) -> None:
        self._nodes += 1
        _require_few(self._nodes)
        operator = domain = ""
        for number, value in fields(message):
            if not isinstance(value, memoryview):
                continue
            if number == 4:
                operator = _text(value)
            elif number == 7:
                domain = _text(value)
            elif number == 5:
                self._attribute(value, body, depth)
        body[domain, operator] += 1

    def _attribute(self, message: memoryview, body: _Body, depth: int) -> None:
        for number, value in fields(message):
            if not isinstance(value, memoryview):
                continue
            if number in {5, 10}:
                self._tensor(value)
            elif number in {6, 11}:
                self._graph(value, body, depth + 1)
            elif number in {22, 23}:
                self._sparse_tensor(value)

    def _tensor(self, message: memoryview) -> None:
        self._tensors += 1
        if self._tensors > MAX_TENSORS:
            raise _Refused(f"has more than {MAX_TENSORS} tensors")
        sizes: list[int] = []
        location, is_external, tensor_name = "", False, ""
        for number, value in fields(message):
            if number == 1:
                _add_sizes(sizes, value)
            elif number == 8 and isinstance(value, memoryview):
                tensor_name = _text(value)
            elif number == 14:
                is_external |= value == _EXTERNAL
            elif number == 13 and isinstance(value, memoryview):
                entry = dict(fields(value))
                if _text(entry.get(1)) == "location":
                    location = _text(entry.get(2))
        if is_external:
            self._external(tensor_name, location)
        elif (elements := math.prod(sizes)) > _MOST_ELEMENTS_PER_BYTE * len(message):
            raise _Refused(
                f"has a tensor {tensor_name!r} that claims {elements} elements in "
                f"{len(message)} bytes"
            )

    def _sparse_tensor(self, message: memoryview) -> None:
        sizes: list[int] = []
        for number, value in fields(message):
            if number == 3:
                _add_sizes(sizes, value)
            elif number in {1, 2} and isinstance(value, memoryview):
                self._tensor(value)
        if math.prod(sizes) > MAX_TENSOR_ELEMENTS:
            raise _Refused(f"has a sparse tensor that claims {math.prod(sizes)} elements")

    def _external(self, tensor: str, location: str) -> None:
        """Raise where a tensor lies elsewhere than in a regular file of the folder."""
        if self._weights_folder is None:
            raise _Refused(
                f"keeps the tensor {tensor!r} in another file, {location!r}; a member is one file"
            )
        path = self._weights_folder / location
        is_name = location == path.name and location not in {"", ".", ".."}
        if not is_name or path.is_symlink() or not path.is_file():
            raise _Refused(
                f"keeps the tensor {tensor!r} in {location!r}, which is no regular file beside it"
            )


def _add_sizes(sizes: list[int], value: int | memoryview) -> None:
    sizes += [value] if isinstance(value, int) else islice(varints(value), MAX_AXES + 1)
    if len(sizes) > MAX_AXES:
        raise _Refused(f"has a tensor of more than {MAX_AXES} axes")


def _operators(whole: _Body, functions: Mapping[_Operator, _Body]) -> Iterator[_Operator]:
    yield from whole
    for body in functions.values():
        yield from body


def _expanded(whole: _Body, functions: Mapping[_Operator, _Body]) -> int:
    """Nodes, once every call of a function stands for all of it, as ONNX Runtime has it.

    Functions that call functions multiply: twenty lines may stand for a million nodes.
    """
    sizes: dict[_Operator, int] = {}
    waiting: list[tuple[_Operator, bool]] = [(called, False) for called in functions]
    open_calls: set[_Operator] = set()
    while waiting:
        function, is_known = waiting.pop()
        calls = [called for called in functions[function] if called in functions]
        if is_known:
            open_calls.discard(function)
            sizes[function] = _size(functions[function], sizes)
        elif function not in sizes:
            if function in open_calls:
                raise _Refused(f"has a function {function[1]} that calls itself")
            open_calls.add(function)
            waiting.append((function, True))
            waiting += [(called, False) for called in calls if called not in sizes]
    return _size(whole, sizes)


def _size(body: _Body, sizes: Mapping[_Operator, int]) -> int:
    size = sum(count * max(1, sizes.get(operator, 1)) for operator, count in body.items())
    # Numbers that double at every function would soon have more digits than there is time for.
    return min(size, MAX_NODES + 1)


def _require_few(nodes: int) -> None:
    if nodes > MAX_NODES:
        raise _Refused(f"has more than {MAX_NODES} nodes, calls of functions included")


def _text(value: int | memoryview | None) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else ""
