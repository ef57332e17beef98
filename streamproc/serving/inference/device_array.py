"""An array where a model runs: in its device's memory, or in the host's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamproc.serving.guarded_calls import Call
from streamproc.serving.inference.graph_session import GraphSession
from streamproc.serving.inference.providers import Provider
from streamproc.types import AnyArray


class DeviceArray:
    """What a session has left on its device for sessions that run after it there.

    value: ONNX Runtime's OrtValue
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self._here: AnyArray | None = None

    def here(self) -> AnyArray:
        """In host memory; copied once."""
        if self._here is None:
            self._here = np.asarray(self.value.numpy())
        return self._here


def run_bound(
    session: GraphSession,
    device: Provider,
    feeds: Mapping[str, AnyArray | DeviceArray],
    outputs: Sequence[str],
    call: Call,
) -> tuple[AnyArray, list[DeviceArray]]:
    """The first output here, the others on the device; raises what ONNX Runtime raises.

    feeds: what is on the device is taken as it is
    """
    binding = bind_inputs(session, feeds)
    first, *others = outputs
    binding.bind_output(first, "cpu")
    for name in others:
        binding.bind_output(name, *device.place)
    run: Any = session
    run.run_with_iobinding(binding, call)
    value, *left = binding.get_outputs()
    return np.asarray(value.numpy()), [DeviceArray(one) for one in left]


def bind_inputs(session: GraphSession, feeds: Mapping[str, AnyArray | DeviceArray]) -> Any:
    """A binding of inputs: one copy for what is here, not through pageable memory."""
    bound: Any = session
    binding = bound.io_binding()
    for name, value in feeds.items():
        if isinstance(value, DeviceArray):
            binding.bind_ortvalue_input(name, value.value)
        else:
            binding.bind_cpu_input(name, np.ascontiguousarray(value))
    return binding
