"""A Hugging Face folder that looks right, without weights that say anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamproc.testing import tokenizer_json
from tests.support.foreign_models import VOCABULARY

GOOD: dict[str, Any] = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 64,
    "id2label": {"0": "a", "1": "b", "2": "c"},
}


def safetensors(shape: tuple[int, ...] = (2, 3)) -> bytes:
    """One tensor of zeros, as *.safetensors has it."""
    numbers = 4
    for extent in shape:
        numbers *= extent
    head = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, numbers]}})
    return len(head).to_bytes(8, "little") + head.encode() + bytes(numbers)


def hub(tmp_path: Path, **config: Any) -> Path:
    folder = tmp_path / "calls"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**GOOD, **config}), "utf-8")
    (folder / "tokenizer.json").write_bytes(tokenizer_json())
    (folder / "model.safetensors").write_bytes(safetensors())
    return folder
