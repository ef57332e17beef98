"""What members are trained on, and how exactly it computes there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray
from torch import nn


@dataclass(frozen=True, slots=True)
class Device:
    """precision: of the products; weights and sums stay fp32."""

    cuda: bool
    name: str
    precision: Literal["fp32", "bf16", "fp16"]


def device() -> Device:
    """The first CUDA device, in bf16 or, where it has none, in fp16; or the CPU, in fp32."""
    if not torch.cuda.is_available():
        return Device(False, "cpu", "fp32")
    precision: Literal["bf16", "fp16"] = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return Device(True, torch.cuda.get_device_name(), precision)


def together() -> PartialState:
    """What this process has in common with those that train with it; they meet the first time."""
    return PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(days=1))


def processes() -> int:
    """How many train one member together, as torchrun started them."""
    return int(together().num_processes)


def process() -> int:
    """Which of these this one is, from 0; the first one evaluates and writes."""
    return int(together().process_index)


def tensor(array: NDArray[np.generic], model: nn.Module) -> torch.Tensor:
    """An array where a model is."""
    return torch.from_numpy(array).to(next(model.parameters()).device)


def array(given: torch.Tensor) -> NDArray[np.float32]:
    """A tensor as an array, wherever it was."""
    return np.asarray(given.float().cpu().numpy(), dtype=np.float32)
