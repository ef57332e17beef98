"""A stage's weights, written to a file that its graph refers to, as ONNX has it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import onnx
from onnx import numpy_helper
from onnx.external_data_helper import ExternalDataInfo

from streamproc.errors import ModelRefused
from streamproc.offline.splitting.graph import SMALLEST_WEIGHT_BYTES, tensor_bytes

# Weights begin at a page of memory each, so that ONNX Runtime can map them instead of copying.
_PAGE_BYTES = 4096


class WeightsWriter:
    """Writes tensors behind one another; a context manager."""

    def __init__(self, path: Path, source: Path) -> None:
        """source: the folder in which the model's own files of weights lie, if it has any"""
        self._path, self._source = path, source
        self._file = path.open("wb")

    def __enter__(self) -> WeightsWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def kept(self, tensor: onnx.TensorProto) -> onnx.TensorProto:
        """The tensor as the graph has it: its numbers in the file, unless they are few.

        Raises ModelRefused where a file of weights is not as the model says.
        """
        few = tensor_bytes(tensor) < SMALLEST_WEIGHT_BYTES
        if few and not tensor.external_data:
            return tensor
        first = -(-self._file.tell() // _PAGE_BYTES) * _PAGE_BYTES
        self._file.seek(first)
        if tensor.external_data:
            self._copy(tensor)
        else:
            self._file.write(_raw(tensor))
        kept = onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
        kept.data_location = onnx.TensorProto.EXTERNAL
        where = {
            "location": self._path.name,
            "offset": str(first),
            "length": str(self._file.tell() - first),
        }
        for key, value in where.items():
            kept.external_data.add(key=key, value=value)
        return kept

    def _copy(self, tensor: onnx.TensorProto) -> None:
        info = ExternalDataInfo(tensor)
        path = (self._source / info.location).resolve()
        if not path.is_relative_to(self._source.resolve()):
            raise ModelRefused(f"weights of {tensor.name} lead out of {self._source}")
        try:
            with path.open("rb") as file:
                file.seek(info.offset or 0)
                left = info.length or tensor_bytes(tensor)
                while left and (part := file.read(min(left, 2**24))):
                    self._file.write(part)
                    left -= len(part)
        except OSError as error:
            raise ModelRefused(f"{path}: {error.strerror}; the model names it") from None
        if left:
            raise ModelRefused(f"{path} ends {left} bytes before the end of {tensor.name}")


def _raw(tensor: onnx.TensorProto) -> bytes:
    if tensor.HasField("raw_data"):
        return bytes(tensor.raw_data)
    return bytes(numpy_helper.from_array(numpy_helper.to_array(tensor)).raw_data)
