"""The composition root: settings in, a running worker or a local pipeline out."""

from __future__ import annotations

from streamproc.worker.local import (
    Combined,
    combining_pipelines,
    ensemble_pipeline,
    local_pipeline,
    verify_ensemble,
)
from streamproc.worker.routes import build_route, served_tasks
from streamproc.worker.run import run_worker

__all__ = [
    "Combined",
    "build_route",
    "combining_pipelines",
    "ensemble_pipeline",
    "local_pipeline",
    "run_worker",
    "served_tasks",
    "verify_ensemble",
]
