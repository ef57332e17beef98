"""An array where a model runs: in its device's memory, or in the host's."""

from __future__ import annotations

from typing import Any

import numpy as np

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
