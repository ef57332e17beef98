"""What a decoder adds to its caches at a step, as outputs of their own.

An exported decoder gives back its caches a token longer, all of them written anew at every step.
The new token's keys and values are there before that, as what it appends to the old ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streamproc.serving.inference.cache_names import PAST, present
from streamproc.serving.inference.protobuf_wire import NotProtobuf, fields

# A larger model would be in memory once more while it is loaded.
_MOST_BYTES = 256 * 2**20
# Field numbers of onnx.proto3.
_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_INPUT, _GRAPH_OUTPUT, _VALUE_NAME = 7, 1, 11, 12, 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR = 1, 2, 4


def with_cache_columns(model: bytes) -> tuple[bytes, dict[str, str]]:
    """A model with those outputs, and their names by those of the caches that are put in.

    It computes what it did: values that it has by the way are named as outputs. Unchanged, without
    names, where it does not append to each cache by one operator, or is very large.
    """
    if len(model) > _MOST_BYTES:
        return model, {}
    try:
        appended = dict(_appended(model))
        pasts = set(_inputs(model))
    except NotProtobuf:
        return model, {}
    if not pasts or pasts != appended.keys():
        return model, {}
    outputs = b"".join(
        _field(_GRAPH_OUTPUT, _field(_VALUE_NAME, name.encode()))
        for name in dict.fromkeys(appended.values())
    )
    # Of a message that comes twice, the lists are joined: nothing has to be written anew.
    return model + _field(_MODEL_GRAPH, outputs), appended


def _graph_fields(model: bytes, wanted: int) -> Iterator[memoryview]:
    for number, graph in fields(memoryview(model)):
        if number == _MODEL_GRAPH and isinstance(graph, memoryview):
            for field, value in fields(graph):
                if field == wanted and isinstance(value, memoryview):
                    yield value


def _inputs(model: bytes) -> Iterator[str]:
    for value in _graph_fields(model, _GRAPH_INPUT):
        for name in _texts(value, _VALUE_NAME):
            if PAST.fullmatch(name):
                yield name


def _appended(model: bytes) -> Iterator[tuple[str, str]]:
    """Caches, and what a Concat appends to each to make what the model gives back of it."""
    for node in _graph_fields(model, _GRAPH_NODE):
        if _texts(node, _NODE_OPERATOR) != ["Concat"]:
            continue
        inputs, outputs = _texts(node, _NODE_INPUT), _texts(node, _NODE_OUTPUT)
        past = inputs[0] if inputs else ""
        if PAST.fullmatch(past) and len(inputs) == 2 and outputs == [present(past)]:
            yield past, inputs[1]


def _texts(message: memoryview, wanted: int) -> Sequence[str]:
    return [
        bytes(value).decode("utf-8", "replace")
        for number, value in fields(message)
        if number == wanted and isinstance(value, memoryview)
    ]


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low = []
    while value >= 0x80:
        low.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*low, value])
