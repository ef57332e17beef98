"""What every peer does with texts: the same tokenizer, the same graphs, the same mean.

It runs in the peers' own environments, which have tokenizers, onnxruntime, numpy and orjson, and
no streamproc.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import orjson
from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Models:
    """Files of an ensemble that is combined by the mean of its members' probabilities.

    prefix: the layers before all members, which take its hidden states; none where each is whole
    window: tokens; what is longer is cut off, as peers do
    """

    tokenizer: str
    window: int
    prefix: str | None
    members: tuple[str, ...]
    labels: tuple[str, ...]
    temperature: float

    def write(self, path: Path) -> None:
        path.write_bytes(orjson.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Models:
        return cls(**orjson.loads(path.read_bytes()))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a peer's program is told by its environment.

    threads:  of a model call; 0 is what ONNX Runtime does by itself
    spinning: whether threads that wait for work spin, which ONNX Runtime's do by itself
    batch:    requests taken at once
    """

    servers: str
    requests: str
    responses: str
    models: Path
    threads: int
    spinning: bool
    batch: int

    def environment(self) -> dict[str, str]:
        return {f"PEER_{name.upper()}": str(value) for name, value in asdict(self).items()}

    @classmethod
    def by_environment(cls) -> Asked:
        of = {name: os.environ[f"PEER_{name.upper()}"] for name in cls.__dataclass_fields__}
        return cls(
            servers=of["servers"],
            requests=of["requests"],
            responses=of["responses"],
            models=Path(of["models"]),
            threads=int(of["threads"]),
            spinning=of["spinning"] == "True",
            batch=int(of["batch"]),
        )


class Scorer:
    """Texts to probabilities."""

    def __init__(self, models: Models, threads: int, *, spinning: bool) -> None:
        """Load everything; threads, spinning: as `Asked` has them."""
        self._models = models
        self._tokenizer = Tokenizer.from_file(models.tokenizer)
        self._tokenizer.enable_truncation(models.window)
        self._tokenizer.enable_padding()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = threads
        if not spinning:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")

        def opened(path: str) -> ort.InferenceSession:
            return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        self._prefix = opened(models.prefix) if models.prefix else None
        self._members = [opened(path) for path in models.members]

    @classmethod
    def of(cls, asked: Asked) -> Scorer:
        return cls(Models.read(asked.models), asked.threads, spinning=asked.spinning)

    def score(self, texts: Sequence[str]) -> Any:
        """Probabilities (texts, labels); all texts are one batch, padded to the longest."""
        encoded = self._tokenizer.encode_batch_fast(list(texts))
        known: dict[str, Any] = {
            "input_ids": np.array([each.ids for each in encoded], np.int64),
            "attention_mask": np.array([each.attention_mask for each in encoded], np.int64),
            "token_type_ids": np.array([each.type_ids for each in encoded], np.int64),
        }
        if self._prefix is not None:
            known["hidden_states"] = _run(self._prefix, known)
        logits = np.stack([_run(member, known) for member in self._members]).astype(np.float64)
        mean = _softmax(logits).mean(axis=0)
        return _softmax(np.log(np.maximum(mean, 1e-300)) / self._models.temperature)

    def answer(self, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The responses to requests `{"id", "text"}`, with scores where ours have them."""
        rows = self.score([request["text"] for request in requests]).tolist()
        labels = self._models.labels
        return [
            {"id": request["id"], "result": {"scores": dict(zip(labels, row, strict=True))}}
            for request, row in zip(requests, rows, strict=True)
        ]


def _run(session: ort.InferenceSession, known: Mapping[str, Any]) -> Any:
    wanted = {each.name: known[each.name] for each in session.get_inputs()}
    return session.run(None, wanted)[0]


def _softmax(logits: Any) -> Any:
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
