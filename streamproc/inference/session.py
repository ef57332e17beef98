"""One member's ONNX Runtime session, checked against its task when it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort

from streamproc.errors import MemberFailed, ModelRefused, OutOfMemory
from streamproc.inference.outputs import Batch, FloatArray
from streamproc.inference.providers import CUDA, Provider, refuse_fallback

_OUT_OF_MEMORY = ("failed to allocate memory", "out of memory", "bad_alloc", "cublas_status_alloc")


class Call(Protocol):
    """A call that may be told to end early."""

    terminate: bool


class Session(Protocol):
    """A model that scores batches; what fan-out needs to know of it."""

    name: str

    def run(self, batch: Batch, call: Any) -> FloatArray:
        """(rows, ...) float64; raises MemberFailed, OutOfMemory. Called from model threads."""
        ...


@dataclass(frozen=True, slots=True)
class Signature:
    """What a task asks of a model.

    required, optional: names of int64 inputs of shape (rows, tokens)
    output: name of the output; outputs: its last dimension
    axes: how many dimensions the output has
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    output: str
    outputs: int
    axes: int


class OnnxSession:
    """A member's session: one thread a call, several threads may call at once."""

    def __init__(self, name: str, model: bytes, signature: Signature, provider: Provider) -> None:
        """Load and check; raises ModelRefused with what was expected and what was found."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # Several pools that spin wait for each other's cores: two to three times slower.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(
                model, options, providers=[(provider.name, provider.options)]
            )
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
            raise ModelRefused(
                f"member {name}: not a model ONNX Runtime can load: {error}"
            ) from None
        self.name = name
        self._on_gpu = provider.name == CUDA
        self._output = signature.output
        refuse_fallback(self._session, provider, name)
        self._inputs = _checked_inputs(name, self._session, signature)
        _check_output(name, self._session, signature)

    def run(self, batch: Batch, call: Any) -> FloatArray:
        feeds = {
            "input_ids": batch.ids,
            "attention_mask": batch.mask,
            "token_type_ids": batch.type_ids,
        }
        feeds = {name: feeds[name] for name in self._inputs}
        try:
            scores = self._bound(feeds, call) if self._on_gpu else self._plain(feeds, call)
        except Exception as error:  # noqa: BLE001
            text = str(error)
            if any(sign in text.lower() for sign in _OUT_OF_MEMORY) or isinstance(
                error, MemoryError
            ):
                raise OutOfMemory(f"member {self.name}: {text}") from None
            raise MemberFailed(self.name, text) from None
        if not np.isfinite(scores).all():
            raise MemberFailed(self.name, "its scores are not finite numbers")
        return np.asarray(scores, np.float64)

    def _plain(self, feeds: dict[str, Any], call: Any) -> Any:
        return self._session.run([self._output], feeds, call)[0]

    def _bound(self, feeds: dict[str, Any], call: Any) -> Any:
        """Inputs and outputs bound: one copy each way, without a pass through pageable memory."""
        binding = self._session.io_binding()
        for name, value in feeds.items():
            binding.bind_cpu_input(name, value)
        binding.bind_output(self._output, "cpu")
        self._session.run_with_iobinding(binding, call)
        return binding.copy_outputs_to_cpu()[0]


def new_call() -> Any:
    """What `Session.run` takes: setting `terminate` ends the run at its next node."""
    return ort.RunOptions()


def _checked_inputs(name: str, session: Any, signature: Signature) -> tuple[str, ...]:
    found = {node.name: node for node in session.get_inputs()}
    known = (*signature.required, *signature.optional)
    lacking = [input_name for input_name in signature.required if input_name not in found]
    strange = [input_name for input_name in found if input_name not in known]
    if lacking or strange:
        raise ModelRefused(
            f"member {name}: expected inputs {', '.join(signature.required)} "
            f"(and perhaps {', '.join(signature.optional)}); found {', '.join(found)}"
        )
    for node in found.values():
        if node.type != "tensor(int64)" or len(node.shape) != 2:
            raise ModelRefused(
                f"member {name}: input {node.name} must be int64 of (rows, tokens); "
                f"found {node.type} of {node.shape}"
            )
        fixed = [size for size in node.shape if isinstance(size, int)]
        if fixed:
            raise ModelRefused(
                f"member {name}: input {node.name} has fixed sizes {node.shape}; "
                "export it with dynamic rows and tokens"
            )
    return tuple(found)


def _check_output(name: str, session: Any, signature: Signature) -> None:
    found = {node.name: node for node in session.get_outputs()}
    node = found.get(signature.output)
    if node is None:
        raise ModelRefused(
            f"member {name}: expected an output {signature.output!r}; found {', '.join(found)}"
        )
    last = node.shape[-1] if node.shape else None
    wrong_size = isinstance(last, int) and last != signature.outputs
    floats = node.type in ("tensor(float)", "tensor(float16)")
    if not floats or len(node.shape) != signature.axes or wrong_size:
        raise ModelRefused(
            f"member {name}: output {signature.output!r} must be floats with {signature.axes} "
            f"dimensions, the last of {signature.outputs} (one for each label of the manifest); "
            f"found {node.type} of {node.shape}"
        )
