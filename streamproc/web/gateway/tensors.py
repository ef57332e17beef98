"""Tensors of the Open Inference Protocol: in JSON, and in its binary data extension.

https://github.com/kserve/open-inference-protocol, and the extension as Triton describes it: behind
the JSON come the bytes of tensors, one after the other; a text is four bytes of length, the lowest
first, and UTF-8.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from pydantic import BaseModel, Field, ValidationError

from streamproc.messages.validation import describe
from streamproc.web.gateway.problems import GatewayProblem

JSON_LENGTH: Final = "Inference-Header-Content-Length"
_LENGTH: Final = struct.Struct("<I")
_NUMBERS: Final = {"FP64": "<f8", "INT64": "<i8"}


class TensorParameters(BaseModel):
    """Those of the binary data extension."""

    binary_data_size: int | None = Field(None, ge=0)
    binary_data: bool | None = None


class InputTensor(BaseModel):
    """data: where it is not behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    parameters: TensorParameters = Field(default_factory=TensorParameters)
    data: list[Any] | None = None


class OutputChoice(BaseModel):
    """An output that is asked for."""

    name: str
    parameters: TensorParameters = Field(default_factory=TensorParameters)


class InferRequest(BaseModel):
    """The JSON of an inference request."""

    id: str | None = None
    inputs: list[InputTensor]
    outputs: list[OutputChoice] | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """data: texts (BYTES) or numbers (FP64, INT64), row by row."""

    name: str
    datatype: str
    shape: Sequence[int]
    data: Sequence[Any]


def read_infer_request(body: bytes, json_length: str | None) -> tuple[InferRequest, bytes]:
    """The JSON of a body, and what lies behind it; raises GatewayProblem."""
    length = len(body)
    if json_length is not None:
        if not json_length.isdecimal() or int(json_length) > len(body):
            raise GatewayProblem("not-json", f"{JSON_LENGTH}: must be bytes of the body")
        length = int(json_length)
    try:
        return InferRequest.model_validate_json(body[:length]), body[length:]
    except ValidationError as error:
        raise GatewayProblem("invalid", describe(error)) from None


def read_texts(request: InferRequest, binary: bytes) -> dict[str, list[str]]:
    """The texts of each input by its name; raises GatewayProblem where one is no text."""
    found, at = {}, 0
    for tensor in request.inputs:
        if tensor.datatype != "BYTES":
            raise _wrong(tensor, f"datatype {tensor.datatype}: texts are BYTES")
        size = tensor.parameters.binary_data_size
        if size is None:
            texts = _flat(tensor)
        else:
            texts = _unpacked(tensor, binary[at : at + size], size)
            at += size
        if any(side < 0 for side in tensor.shape) or math.prod(tensor.shape) != len(texts):
            raise _wrong(tensor, f"shape {tensor.shape}: there are {len(texts)} texts")
        found[tensor.name] = texts
    if at != len(binary):
        raise GatewayProblem("invalid", f"{len(binary) - at} bytes behind the inputs' own")
    return found


def written(
    header: Mapping[str, Any], tensors: Sequence[OutputTensor], request: InferRequest
) -> tuple[bytes, dict[str, str]]:
    """A response's body, and its headers; tensors are binary where the request asks for it.

    Raises GatewayProblem where it asks for an output that there is not.
    """
    by_default = request.parameters.get("binary_data_output") is True
    wanted = {choice.name: choice.parameters.binary_data for choice in request.outputs or ()}
    known = {tensor.name for tensor in tensors}
    if unknown := sorted(set(wanted) - known):
        raise GatewayProblem("invalid", f"outputs: no {unknown[0][:100]!r}; there are {known}")
    said, binary = [], []
    for tensor in tensors:
        if wanted and tensor.name not in wanted:
            continue
        asked = wanted.get(tensor.name)
        described: dict[str, Any] = {
            "name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape),
        }  # fmt: skip
        if by_default if asked is None else asked:
            packed = _packed(tensor)
            described["parameters"] = {"binary_data_size": len(packed)}
            binary.append(packed)
        else:
            described["data"] = list(tensor.data)
        said.append(described)
    body = orjson.dumps({**header, "outputs": said})
    headers = {JSON_LENGTH: str(len(body))} if binary else {}
    return b"".join((body, *binary)), headers


def _flat(tensor: InputTensor) -> list[str]:
    """Texts of nested lists, which JSON has for every shape."""
    level: list[Any] = tensor.data if tensor.data is not None else []
    while level and all(isinstance(one, list) for one in level):
        level = [inner for one in level for inner in one]
    for text in level:
        try:
            if not isinstance(text, str):
                raise _wrong(tensor, "data: a text is asked for")
            text.encode()
        except UnicodeEncodeError:
            raise _wrong(tensor, "data: half of a character") from None
    return level


def _unpacked(tensor: InputTensor, packed: bytes, size: int) -> list[str]:
    texts, at = [], 0
    try:
        while at < size:
            (length,) = _LENGTH.unpack_from(packed, at)
            at += _LENGTH.size
            if at + length > len(packed):
                raise _wrong(tensor, "a text is longer than the bytes that are left")
            texts.append(packed[at : at + length].decode())
            at += length
    except (struct.error, UnicodeDecodeError):
        raise _wrong(tensor, "bytes that are no texts with their lengths, in UTF-8") from None
    return texts


def _packed(tensor: OutputTensor) -> bytes:
    if tensor.datatype in _NUMBERS:
        return np.asarray(tensor.data, _NUMBERS[tensor.datatype]).tobytes()
    encoded = [text.encode() for text in tensor.data]
    return b"".join(_LENGTH.pack(len(text)) + text for text in encoded)


def _wrong(tensor: InputTensor, what: str) -> GatewayProblem:
    return GatewayProblem("invalid", f"inputs.{tensor.name[:100]}: {what}")
