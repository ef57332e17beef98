"""An ensemble of one BERT with random weights, large enough for its weights to be what counts."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from streamproc.errors import OperatorError
from streamproc.repository.manifest import Manifest, WindowSection
from streamproc.repository.writing import manifest_toml, member_section, tokenizer_section
from streamproc.testing import tokenizer_json

NAME = "large"
LABELS = ("negative", "positive")


@dataclass(frozen=True, slots=True)
class Size:
    """Of a BERT: layers, their width, words."""

    layers: int
    width: int
    words: int


def large_ensemble(root: Path, size: Size) -> str:
    """The name of an ensemble under `root`, made anew; needs the extra `train`."""
    try:
        import torch  # noqa: PLC0415  # an extra
        from transformers import BertConfig, BertForSequenceClassification  # noqa: PLC0415

        from streamproc.offline.training.exporting import export_encoder  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise OperatorError(
            f"a model of random weights needs {missing.name}: install streamproc[train]"
        ) from missing

    folder = root / NAME
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=size.words,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.width // 64,
        intermediate_size=4 * size.width,
        num_labels=2,
    )
    model = BertForSequenceClassification(config).eval()
    export_encoder(model, "text-classification", folder / "model.onnx")
    (folder / "tokenizer.json").write_bytes(tokenizer_json())
    manifest = Manifest(
        format=1,
        name=NAME,
        task="text-classification",
        labels=LABELS,
        tokenizer=tokenizer_section(folder, folder / "tokenizer.json"),
        window=WindowSection(max_tokens=256, overlap_tokens=32),
        members=(member_section(folder, "m", "1", folder / "model.onnx", labels=LABELS),),
    )
    (folder / "manifest.toml").write_text(manifest_toml(manifest), encoding="utf-8")
    return NAME
