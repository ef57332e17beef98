"""The composition root: settings in, a running worker or a local pipeline out.

`run.py` is not imported with it: who asks models in a process of their own needs no Faust.
"""

from __future__ import annotations

from streamproc.worker.local import (
    Combined,
    combining_pipelines,
    ensemble_pipeline,
    local_pipeline,
    verify_ensemble,
)
from streamproc.worker.routes import build_route, served_tasks

__all__ = [
    "Combined",
    "build_route",
    "combining_pipelines",
    "ensemble_pipeline",
    "local_pipeline",
    "served_tasks",
    "verify_ensemble",
]
