"""Texts as points by what they mean: sentence embeddings of a base model."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from streamproc.offline.training.base import Base


class SentenceEmbeddings:
    """The mean of a text's token embeddings, at length 1; on a text's first 256 tokens."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._model = SentenceTransformer(str(base.folder), device="cpu")
        self._model.max_seq_length = 256

    @property
    def description(self) -> str:
        version = metadata.version("sentence-transformers")
        return f"sentence embeddings by {self._base.description}, sentence-transformers {version}"

    def of(self, texts: Sequence[str]) -> NDArray[np.floating]:
        return np.asarray(
            self._model.encode(
                list(texts), batch_size=64, normalize_embeddings=True, show_progress_bar=False
            )
        )
