"""A model as it comes from disk, whole or in stages, and how it is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.serving.inference.graph_session import GraphSession
from streamproc.serving.inference.providers import Provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.inference.session_factory import open_session
from streamproc.serving.inference.staged import StagedSession, StageFiles


@dataclass(frozen=True, slots=True)
class Staged:
    """A model that is cut: its stages in order, and what decides which of them are loaded."""

    stages: Sequence[StageFiles]
    residency: Residency


Model = bytes | Staged


def open_model(name: str, model: Model, provider: Provider) -> GraphSession:
    """An ONNX Runtime session, or what looks like one; raises ModelRefused."""
    if isinstance(model, bytes):
        return open_session(name, model, provider)
    return StagedSession(name, model.stages, provider, model.residency)


def weight_bytes(model: Model) -> int:
    """How much a call reads once, about."""
    if isinstance(model, bytes):
        return len(model)
    return sum(stage.resident_bytes for stage in model.stages)
