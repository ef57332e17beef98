"""One member's ONNX Runtime session, checked against its task when it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort

from streamproc.errors import MemberFailed, ModelRefused, OutOfMemory, StreamprocError
from streamproc.inference.outputs import Batch, FloatArray
from streamproc.inference.providers import CUDA, Provider, refuse_fallback

_OUT_OF_MEMORY = ("failed to allocate memory", "out of memory", "bad_alloc", "cublas_status_alloc")


class Call(Protocol):
    """A call that may be told to end early."""

    terminate: bool


class Session(Protocol):
    """A model that scores batches; what fan-out needs to know of it."""

    name: str

    def run(self, batch: Batch, call: Any) -> Sequence[FloatArray]:
        """For each row its scores, float64: (outputs,), or (tokens, outputs) without padding.

        Raises MemberFailed, OutOfMemory. Called from model threads.
        """
        ...


@dataclass(frozen=True, slots=True)
class Signature:
    """What a task asks of a model.

    outputs: names of the outputs; several are stacked as the last dimension of the scores
    labels: the last dimension of an output; None: an output has none, it is one score
    per_token: whether there are scores for each token, or for the sequence as a whole
    required, optional: names of int64 inputs of shape (rows, tokens)
    """

    outputs: tuple[str, ...]
    labels: int | None
    per_token: bool = False
    required: tuple[str, ...] = ("input_ids", "attention_mask")
    optional: tuple[str, ...] = ("token_type_ids",)

    @property
    def axes(self) -> int:
        """How many dimensions an output has: rows, tokens, labels, as far as they are there."""
        return 1 + self.per_token + (self.labels is not None)


class OnnxSession:
    """A member's session: one thread a call, several threads may call at once."""

    def __init__(self, name: str, model: bytes, signature: Signature, provider: Provider) -> None:
        """Load and check; raises ModelRefused with what was expected and what was found."""
        self._session = open_session(name, model, provider)
        self.name = name
        self._on_gpu = provider.name == CUDA
        self._outputs = list(signature.outputs)
        self._per_token = signature.per_token
        self._inputs = _checked_inputs(name, self._session, signature)
        for output in signature.outputs:
            _check_output(name, self._session, signature, output)

    def run(self, batch: Batch, call: Any) -> Sequence[FloatArray]:
        feeds = {
            "input_ids": batch.ids,
            "attention_mask": batch.mask,
            "token_type_ids": batch.type_ids,
        }
        feeds = {name: feeds[name] for name in self._inputs}
        try:
            found = self._bound(feeds, call) if self._on_gpu else self._plain(feeds, call)
        except Exception as error:  # noqa: BLE001
            raise failure_of(self.name, error) from None
        scores = np.asarray(found[0] if len(found) == 1 else np.stack(found, -1), np.float64)
        rows = [row[:length] for row, length in zip(scores, batch.lengths, strict=True)]
        if not self._per_token:
            rows = list(scores)
        if not all(np.isfinite(row).all() for row in rows):
            raise MemberFailed(self.name, "its scores are not finite numbers")
        return rows

    def _plain(self, feeds: dict[str, Any], call: Any) -> list[Any]:
        return list(self._session.run(self._outputs, feeds, call))

    def _bound(self, feeds: dict[str, Any], call: Any) -> list[Any]:
        """Inputs and outputs bound: one copy each way, without a pass through pageable memory."""
        binding = self._session.io_binding()
        for name, value in feeds.items():
            binding.bind_cpu_input(name, value)
        for name in self._outputs:
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding, call)
        return list(binding.copy_outputs_to_cpu())


def open_session(name: str, model: bytes, provider: Provider) -> Any:
    """An ONNX Runtime session of one thread a call, where it was asked for; raises ModelRefused."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Several pools that spin wait for each other's cores: two to three times slower.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(
            model, options, providers=[(provider.name, provider.options)]
        )
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
        raise ModelRefused(f"member {name}: not a model ONNX Runtime can load: {error}") from None
    refuse_fallback(session, provider, name)
    return session


def failure_of(name: str, error: Exception) -> StreamprocError:
    """What an error that ONNX Runtime raised in a run means: OutOfMemory, or MemberFailed."""
    text = str(error)
    if any(sign in text.lower() for sign in _OUT_OF_MEMORY) or isinstance(error, MemoryError):
        return OutOfMemory(f"member {name}: {text}")
    return MemberFailed(name, text)


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


def _check_output(name: str, session: Any, signature: Signature, output: str) -> None:
    found = {node.name: node for node in session.get_outputs()}
    node = found.get(output)
    if node is None:
        raise ModelRefused(
            f"member {name}: expected an output {output!r}; found {', '.join(found)}"
        )
    last = node.shape[-1] if node.shape else None
    wrong_size = signature.labels is not None and isinstance(last, int) and last != signature.labels
    floats = node.type in ("tensor(float)", "tensor(float16)")
    if not floats or len(node.shape) != signature.axes or wrong_size:
        last_of = (
            f", the last of {signature.labels} (one for each label of the manifest)"
            if signature.labels is not None
            else ""
        )
        raise ModelRefused(
            f"member {name}: output {output!r} must be floats with {signature.axes} "
            f"dimensions{last_of}; found {node.type} of {node.shape}"
        )
