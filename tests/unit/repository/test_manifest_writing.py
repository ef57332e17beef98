from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.repository.manifest import read_manifest
from streamproc.repository.writing import manifest_toml
from tests.support.manifests import DIGEST, MANIFEST

SHIPPED = sorted(Path(__file__).parents[3].glob("models/*/manifest.toml"))
GATED = f"""{MANIFEST.replace('"weighted"', '"gated"')}
[members.provenance]
"base model" = "MiniLM"
trained = 2026-11-25
[members.metrics]
accuracy = 0.5
[gate]
file = "gate.npy"
sha256 = "{DIGEST}"
members = ["a"]
sharpness = 4.0
"""


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_a_shipped_manifest_is_written_as_what_was_read(path: Path) -> None:
    manifest = read_manifest(path.read_bytes(), str(path))

    assert read_manifest(manifest_toml(manifest).encode(), "again") == manifest


def test_everything_a_manifest_may_hold_is_written() -> None:
    manifest = read_manifest(GATED.encode(), "here")
    again = read_manifest(manifest_toml(manifest).encode(), "again")

    assert again.gate == manifest.gate
    assert again.quorum == manifest.quorum
    assert again.members[0].weight == 2.5
    assert again.members[0].provenance == {"base model": "MiniLM", "trained": "2026-11-25"}


def test_members_in_stages_are_written() -> None:
    whole = f'file = "a/1/model.onnx"\nsha256 = "{DIGEST}"'
    weights = f'{{file = "a/1/w", sha256 = "{DIGEST}", size_bytes = 9}}'
    stage = f"""
[[members.stages]]
file = "a/1/s"
sha256 = "{DIGEST}"
size_bytes = 5
resident_bytes = 7
weights = {weights}
"""
    assert whole in MANIFEST
    text = MANIFEST.replace(whole, "") + stage + stage
    manifest = read_manifest(text.encode(), "here")

    assert read_manifest(manifest_toml(manifest).encode(), "again") == manifest
    assert manifest.members[0].stored_bytes == 28
