"""One member's ONNX Runtime session, checked against its task when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import onnxruntime as ort

from streamproc.errors import MemberFailed, ModelRefused, OutOfMemory, StreamprocError
from streamproc.serving.guarded_calls import Call
from streamproc.serving.inference.batch import Batch, HiddenBatch, HiddenStates
from streamproc.serving.inference.device_array import DeviceArray, bind_inputs
from streamproc.serving.inference.graph_session import GraphSession
from streamproc.serving.inference.model import Model, open_model
from streamproc.serving.inference.providers import CUDA, Provider
from streamproc.serving.inference.session_factory import open_session
from streamproc.serving.inference.signature import (
    HALF,
    HIDDEN_STATES,
    Signature,
    check_output,
    checked_inputs,
)
from streamproc.types import AnyArray, FloatArray

_OUT_OF_MEMORY = ("failed to allocate memory", "out of memory", "bad_alloc", "cublas_status_alloc")

Array_co = TypeVar("Array_co", covariant=True)


class Session(Protocol[Array_co]):
    """A model that runs on batches; what fan-out needs to know of it."""

    name: str

    def run(self, batch: Batch, call: Call) -> Sequence[Array_co]:
        """For each row, of a member its scores, float64: (outputs,), or (tokens, outputs) without
        padding; of a prefix its hidden states.

        Raises MemberFailed, OutOfMemory. Called from model threads.
        """
        ...


class OnnxSession:
    """A member's session: one thread a call, several threads may call at once."""

    def __init__(
        self,
        name: str,
        model: Model,
        signature: Signature,
        provider: Provider,
        *,
        binds: bool | None = None,
    ) -> None:
        """Load and check; raises ModelRefused with what was expected and what was found.

        binds: as `Runner` has it
        """
        session = open_model(name, model, provider)
        self.name = name
        self._per_token = signature.per_token
        inputs = checked_inputs(name, session, signature)
        for output in signature.outputs:
            check_output(name, session, signature, output)
        self._runner = Runner(name, session, inputs, signature.outputs, provider, binds=binds)

    def run(self, batch: Batch, call: Call) -> Sequence[FloatArray]:
        found = self._runner.run(batch, call)
        scores = np.asarray(found[0] if len(found) == 1 else np.stack(found, -1), np.float64)
        rows = [row[:length] for row, length in zip(scores, batch.lengths, strict=True)]
        if not self._per_token:
            rows = list(scores)
        for row in rows:
            require_finite(self.name, row)
        return rows


class BackboneSession:
    """The layers before all members: batches of tokens to hidden states, float32."""

    name = "prefix"

    def __init__(self, model: bytes, provider: Provider, *, binds: bool | None = None) -> None:
        """Load and check; raises ModelRefused with what was expected and what was found.

        binds: as `Runner` has it; then hidden states stay on the device
        """
        session = open_session(self.name, model, provider)
        inputs = checked_inputs(self.name, session, _BACKBONE)
        check_output(self.name, session, _BACKBONE, HIDDEN_STATES)
        self.width: int = session.get_outputs()[0].shape[-1]
        if not isinstance(self.width, int):
            raise ModelRefused(
                f"prefix: expected {HIDDEN_STATES} of a fixed width; found {self.width!r}"
            )
        self._runner = Runner(self.name, session, inputs, _BACKBONE.outputs, provider, binds=binds)

    def run(self, batch: Batch, call: Call) -> Sequence[HiddenStates]:
        """For each row its hidden states."""
        if self._runner.binds:
            made = HiddenBatch(self._runner.leave_on_device(batch, call)[0])
        else:
            made = HiddenBatch(np.asarray(self._runner.run(batch, call)[0], np.float32))
        return [HiddenStates(made, row, tokens) for row, tokens in enumerate(batch.lengths)]


class Runner:
    """Feeds batches to an ONNX Runtime session, and takes its outputs."""

    def __init__(
        self,
        name: str,
        session: GraphSession,
        inputs: Mapping[str, str],
        outputs: Sequence[str],
        provider: Provider,
        *,
        binds: bool | None = None,
    ) -> None:
        """inputs: ONNX's types by name, as `Batch` has what goes into them

        binds: inputs and outputs to the device's memory; None: where that is not the host's
        """
        self._name, self._session = name, session
        self._inputs, self._outputs = inputs, list(outputs)
        # Stages bind nothing: what goes from one to the next passes through host memory.
        wanted = provider.name == CUDA if binds is None else binds
        self.binds = wanted and hasattr(session, "io_binding")
        self._place = provider.place

    def run(self, batch: Batch, call: Call) -> list[AnyArray]:
        """The outputs in order, padding included; raises MemberFailed, OutOfMemory."""
        try:
            if not self.binds:
                return self._plain(batch, call)
            return list(self._bound(batch, call, "cpu", 0).copy_outputs_to_cpu())
        except Exception as error:  # noqa: BLE001
            raise to_member_error(self._name, error) from None

    def leave_on_device(self, batch: Batch, call: Call) -> list[DeviceArray]:
        """The same where the model runs, for whoever binds them as inputs there."""
        try:
            return [
                DeviceArray(value) for value in self._bound(batch, call, *self._place).get_outputs()
            ]
        except Exception as error:  # noqa: BLE001
            raise to_member_error(self._name, error) from None

    def _plain(self, batch: Batch, call: Call) -> list[AnyArray]:
        return list(self._session.run(self._outputs, self._feeds(batch), call))

    def _feeds(self, batch: Batch) -> dict[str, AnyArray]:
        """All but what is taken from the device as it is."""
        hidden: AnyArray | None = batch.hidden
        if batch.hidden_on_device is not None and self._taken_as_it_is(batch) is None:
            hidden = batch.hidden_on_device.here()
        known = {
            "input_ids": batch.ids,
            "attention_mask": batch.mask,
            "token_type_ids": batch.type_ids,
            HIDDEN_STATES: hidden,
        }
        return {
            name: np.asarray(known[name], np.float16 if kind == HALF else _FLOAT.get(name))
            for name, kind in self._inputs.items()
            if known[name] is not None
        }

    def _taken_as_it_is(self, batch: Batch) -> DeviceArray | None:
        hidden = batch.hidden_on_device
        if not self.binds or hidden is None:
            return None
        return hidden if hidden.value.data_type() == self._inputs.get(HIDDEN_STATES) else None

    def _bound(self, batch: Batch, call: Call, device: str, number: int) -> Any:
        """A binding that was run."""
        feeds: dict[str, AnyArray | DeviceArray] = dict(self._feeds(batch))
        as_it_is = self._taken_as_it_is(batch)
        if as_it_is is not None:
            feeds[HIDDEN_STATES] = as_it_is
        binding = bind_inputs(self._session, feeds)
        for name in self._outputs:
            binding.bind_output(name, device, number)
        session: Any = self._session
        session.run_with_iobinding(binding, call)
        return binding


# What a model takes that is not of one type; a prefix may have made it in another.
_FLOAT = {HIDDEN_STATES: np.float32}

# Any width will do.
_BACKBONE = Signature((HIDDEN_STATES,), labels=0, per_token=True)


def require_finite(name: str, scores: AnyArray) -> None:
    """Raise MemberFailed where a member's scores are not numbers to go by."""
    if not np.isfinite(scores).all():
        raise MemberFailed(name, "its scores are not finite numbers")


def to_member_error(name: str, error: Exception) -> StreamprocError:
    """What an error that ONNX Runtime raised in a run means: OutOfMemory, or MemberFailed."""
    text = str(error)
    if any(sign in text.lower() for sign in _OUT_OF_MEMORY) or isinstance(error, MemoryError):
        return OutOfMemory(f"member {name}: {text}")
    return MemberFailed(name, text)


def new_call() -> Call:
    """What `Session.run` takes: setting `terminate` ends the run at its next node."""
    call: Call = ort.RunOptions()
    return call
