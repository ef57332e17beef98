"""An ensemble of GPT-2s with random weights, for figures of speed where none is trained."""

from __future__ import annotations

import hashlib
from pathlib import Path

from streamproc.errors import OperatorError
from streamproc.testing.generative import byte_tokenizer_json

NAME = "random-generation"
POSITIONS = 1024
VOCABULARY = 8_192


def random_ensemble(root: Path, members: int) -> str:
    """The name of an ensemble under `root`, made unless it is there; needs the extra `train`.

    Four layers of 256 and a vocabulary of 8,192, of which the tokenizer, a token a byte, knows 257.
    """
    folder = root / NAME
    if (folder / "manifest.toml").is_file():
        return NAME
    try:
        import torch  # noqa: PLC0415  # an extra
        from optimum.exporters.onnx import onnx_export_from_model  # noqa: PLC0415
        from transformers import GPT2Config, GPT2LMHeadModel  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise OperatorError(
            f"models of random weights need {missing.name}: install streamproc[train], or name an "
            "ensemble by --ensemble"
        ) from missing

    tokenizer = byte_tokenizer_json()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_bytes(tokenizer)
    parts = [_HEAD.format(sha256=hashlib.sha256(tokenizer).hexdigest())]
    for number in range(members):
        torch.manual_seed(number)
        config = GPT2Config(
            vocab_size=VOCABULARY, n_positions=POSITIONS, n_embd=256, n_layer=4, n_head=4
        )
        part = folder / f"m{number}"
        onnx_export_from_model(
            GPT2LMHeadModel(config).eval(),
            part,
            task="text-generation-with-past",
            opset=18,
            do_validation=False,
        )
        digest = hashlib.sha256((part / "model.onnx").read_bytes()).hexdigest()
        parts.append(_MEMBER.format(number=number, sha256=digest))
    (folder / "manifest.toml").write_text("".join(parts), encoding="utf-8")
    return NAME


_HEAD = f"""format = 1
name = "{NAME}"
task = "text-generation"
description = "Random weights: its speed means something, its text does not"

[tokenizer]
file = "tokenizer.json"
sha256 = "{{sha256}}"

[window]
max_tokens = {POSITIONS}
overlap_tokens = 0

[decoding]
end_tokens = [256]
max_tokens = {POSITIONS}
max_new_tokens = 64
"""

_MEMBER = """
[[members]]
name = "m{number}"
version = "1"
file = "m{number}/model.onnx"
sha256 = "{sha256}"
"""
