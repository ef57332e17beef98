"""`python -m benchmarks.full_size`: an ensemble of the size that people usually serve.

Three whole MiniLM-L6 classifiers in fp32. Their heads are untrained, so what they answer means
nothing, and what it costs is real. Needs the `train` extra; nothing here is shipped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from streamproc.offline.training.base import find_base
from streamproc.offline.training.exporting import export_encoder
from streamproc.offline.training.precision import store_in_half
from streamproc.offline.training.pruning import PruneConfig, prune_model
from streamproc.repository.manifest import Manifest, WindowSection
from streamproc.repository.repository import Repository
from streamproc.repository.writing import manifest_toml, member_section, tokenizer_section

LABELS: Final = ("negative", "positive")
MEMBERS: Final = 3


def main(
    out: Annotated[Path, typer.Option(help="model repository to write to")] = Path(
        "build/full-size"
    ),
) -> None:
    """Write the ensemble, under the name that the topics ask for, unless it is there."""
    folder = out / "sentiment"
    if (folder / "manifest.toml").exists():
        return
    base = find_base()
    config = json.loads((base.folder / "config.json").read_text("utf-8"))
    shape = PruneConfig(range(config["num_hidden_layers"]), config["intermediate_size"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_bytes((base.folder / "tokenizer.json").read_bytes())
    members = []
    for seed in range(MEMBERS):
        file = folder / f"untrained-{seed}.onnx"
        kept = range(config["vocab_size"])
        model = prune_model(base.folder, shape, kept, LABELS, seed, "BertForSequenceClassification")
        export_encoder(model, "text-classification", file)
        provenance = {"base": base.description, "corpus": "none: the head is untrained"}
        members.append(
            member_section(folder, file.stem, "1", file, labels=LABELS, provenance=provenance)
        )
    manifest = Manifest(
        format=1,
        name="sentiment",
        task="text-classification",
        description="MiniLM-L6 with untrained heads, to measure speed with.",
        license="Apache-2.0",
        labels=LABELS,
        tokenizer=tokenizer_section(folder, folder / "tokenizer.json"),
        window=WindowSection(max_tokens=256, overlap_tokens=32),
        members=tuple(members),
    )
    (folder / "manifest.toml").write_text(manifest_toml(manifest), encoding="utf-8")


def in_half(root: Path, out: Path) -> Path:
    """The folder `out` with a copy in fp16 of what `main` wrote, made unless it is there."""
    folder = out / "sentiment"
    if (folder / "manifest.toml").exists():
        return out
    stored = Repository(root).open("sentiment")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_bytes(stored.tokenizer())
    members = []
    for member in stored.manifest.members:
        file = folder / f"{member.name}.onnx"
        store_in_half(root / "sentiment" / str(member.file), file)
        members.append(
            member_section(
                folder, member.name, "1", file, labels=LABELS, provenance=member.provenance
            )
        )
    manifest = stored.manifest.model_copy(update={"members": tuple(members)})
    (folder / "manifest.toml").write_text(manifest_toml(manifest), encoding="utf-8")
    return out


if __name__ == "__main__":
    typer.run(main)
