"""Models cut into stages, and run beside the whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamproc.offline.splitting.model_splitter import WrittenStage, split_model
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.inference.session import new_call
from streamproc.serving.inference.session_factory import open_session
from streamproc.serving.inference.staged import StagedSession


class Written:
    """A stage as `split_model` left it."""

    def __init__(self, stage: WrittenStage) -> None:
        self._stage = stage
        self.resident_bytes = stage.resident_bytes

    def files(self) -> tuple[bytes, Path]:
        return self._stage.graph.read_bytes(), self._stage.graph.parent


def cut(model: bytes, stages: int, folder: Path) -> list[WrittenStage]:
    """The model in so many stages, in a folder that need not be there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "whole.onnx"
    path.write_bytes(model)
    return split_model(path, stages, folder / f"in-{stages}")


def staged(stages: Sequence[WrittenStage], residency: Residency | None = None) -> StagedSession:
    """The stages as one session, on the CPU."""
    files = [Written(stage) for stage in stages]
    return StagedSession("m", files, Provider(CPU), residency or Residency())


def batch(rows: int, tokens: int, words: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Random ids, and a mask that leaves some of each row but the first out."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, tokens + 1, rows)
    lengths[0] = tokens
    ids = random.integers(0, words, (rows, tokens))
    mask = (np.arange(tokens) < lengths[:, None]).astype(np.int64)
    return {"input_ids": ids, "attention_mask": mask}


def scores(session: Any, feeds: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """What a session answers."""
    found: NDArray[np.float32] = session.run(["logits"], feeds, new_call())[0]
    return found


def whole(model: bytes) -> Any:
    """A session of the model as it is."""
    return open_session("m", model, Provider(CPU))
