"""Scoring chunks, whatever runs the model: torch as it learns, or ONNX Runtime as a worker does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamproc.errors import MemberError, TrainingError
from streamproc.serving.inference.batch import Batch, ModelInput
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session import OnnxSession, new_call
from streamproc.serving.inference.signature import Signature
from streamproc.serving.verification.scores import Score
from streamproc.types import FloatArray


def onnx_scorer(path: Path, signature: Signature) -> Score:
    """Scores batches as a worker does; raises TrainingError where the file can't be served."""
    session = OnnxSession(path.name, path.read_bytes(), signature, Provider(CPU))

    def score(sequences: Sequence[ModelInput]) -> Sequence[FloatArray]:
        try:
            return session.run(Batch.pad(sequences), new_call())
        except MemberError as error:
            raise TrainingError(f"{path}: {error}") from None

    return score
