"""Decoders that are exported with the places of their tokens as an input.

optimum leaves that input out for some families, Gemma among them; their graph then counts the
columns of the cache, zeros before a short text included, and places what is written next too far
from it.
"""

from __future__ import annotations

import inspect
from typing import Any

from optimum.exporters.tasks import TasksManager
from transformers import PreTrainedModel

_POSITIONS = {"position_ids": {0: "batch_size", 1: "sequence_length"}}


def configs_with_positions(model: PreTrainedModel, task: str) -> dict[str, Any] | None:
    """What optimum is to export a decoder by; None where its own way has the places, or needs none.

    task: as optimum names it
    Raises ValueError, KeyError where optimum does not know the family.
    """
    if task != "text-generation-with-past":
        return None
    build = TasksManager.get_exporter_config_constructor(
        exporter="onnx", model=model, task=task, library_name="transformers"
    )
    own = build(model.config)
    taken = inspect.signature(model.forward).parameters
    if "position_ids" in own.inputs or "position_ids" not in taken:
        return None

    def inputs(self: Any) -> dict[str, dict[int, str]]:
        return {**type(own).inputs.fget(self), **_POSITIONS}

    known = type("WithPositions", (type(own),), {"inputs": property(inputs)})
    made = known(
        model.config, task=own.task, use_past=own.use_past, use_past_in_inputs=own.use_past
    )
    return {"model": made}
