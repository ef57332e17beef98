"""A manifest as someone writes it, to be read whole or changed in one place."""

from __future__ import annotations

DIGEST = "0" * 64
MANIFEST = f"""
format = 1
name = "tiny"
task = "text-classification"
labels = ["negative", "positive"]
quorum = 1

[tokenizer]
file = "tokenizer.json"
sha256 = "{DIGEST}"

[window]
max_tokens = 16
overlap_tokens = 4

[combine]
strategy = "weighted"

[[members]]
name = "a"
version = "1"
file = "a/1/model.onnx"
sha256 = "{DIGEST}"
labels = ["negative", "positive"]
weight = 2.5
"""
