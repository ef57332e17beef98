"""Asking an engine outright, without a pipeline around it."""

from __future__ import annotations

from typing import Any

from streamproc.messages.lane import Lane
from streamproc.serving.engine import Engine
from streamproc.serving.tasks.task import Answer


async def answered(
    engine: Engine, text: str, lane: Lane = Lane.INTERACTIVE, **params: Any
) -> Answer:
    """The answer to a text, as the pipeline would get it."""
    job = engine.task.begin({"text": text}, params, engine.spec)
    async for chunk, outputs in engine.scored_chunks(job, lane):
        job.add(chunk, outputs.result)
    return job.answer()
