"""Writing an ensemble's manifest: what the model repository reads before it loads anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streamproc.digests import sha256
from streamproc.toml import TomlValue, section
from streamproc.training.scoring import WindowSize


@dataclass(frozen=True, slots=True)
class MemberEntry:
    """One `[[members]]` of a manifest.

    decoder:    the other file of an encoder-decoder, whose encoder `file` then is
    labels:     the ensemble's label for each output; none where the task has no labels
    weight:     of the members' weights, which sum to 1; used by the strategy "weighted"
    provenance: base, corpus: what the member was made from
    metrics:    by name, measured on validation data
    """

    name: str
    version: str
    file: Path
    precision: str
    weight: float
    provenance: Mapping[str, str]
    metrics: Mapping[str, float]
    labels: Sequence[str] = ()
    decoder: Path | None = None


@dataclass(frozen=True, slots=True)
class EnsembleEntry:
    """What a manifest says about the ensemble as a whole.

    decoding: `[decoding]`, where the task is to write text
    prefix: `[prefix]`, the frozen layers that run before all members, where there are any
    """

    name: str
    task: str
    description: str
    labels: Sequence[str]
    licence: str
    window: WindowSize = field(default_factory=WindowSize)
    strategy: str = "mean"
    decoding: Mapping[str, TomlValue] | None = None
    prefix: Mapping[str, TomlValue] | None = None


def write_manifest(
    folder: Path, ensemble: EnsembleEntry, tokenizer: Path, members: Sequence[MemberEntry]
) -> Path:
    """Write `manifest.toml` into an ensemble's folder, with the digests of the files beside it.

    tokenizer, members' files: inside the folder; written relative to it
    """
    about: dict[str, TomlValue] = {
        "format": 1,
        "name": ensemble.name,
        "task": ensemble.task,
        "description": ensemble.description,
        "licence": ensemble.licence,
    }
    if ensemble.labels:
        about["labels"] = ensemble.labels
    window = {
        "max_tokens": ensemble.window.max_tokens,
        "overlap_tokens": ensemble.window.overlap_tokens,
    }
    sections: list[tuple[str, Mapping[str, TomlValue]]] = [
        ("", about),
        ("[tokenizer]", _file(folder, tokenizer)),
        ("[window]", window),
        ("[combine]", {"strategy": ensemble.strategy}),
    ]
    if ensemble.prefix is not None:
        sections.append(("[prefix]", ensemble.prefix))
    if ensemble.decoding is not None:
        sections.append(("[decoding]", ensemble.decoding))
    for member in members:
        entry: dict[str, TomlValue] = {
            "name": member.name,
            "version": member.version,
            **_sized_file(folder, member.file),
            "precision": member.precision,
        }
        if member.decoder:
            entry["decoder"] = _sized_file(folder, member.decoder)
        if member.labels:
            entry["labels"] = member.labels
        entry["weight"] = round(member.weight, 4)
        sections.append(("[[members]]", entry))
        sections.append(("[members.provenance]", member.provenance))
        sections.append(("[members.metrics]", {k: round(v, 4) for k, v in member.metrics.items()}))
    path = folder / "manifest.toml"
    path.write_text(
        "\n".join(section(title, values) for title, values in sections), encoding="utf-8"
    )
    return path


def _file(folder: Path, file: Path) -> dict[str, str]:
    return {"file": file.relative_to(folder).as_posix(), "sha256": sha256(file)}


def _sized_file(folder: Path, file: Path) -> dict[str, str | int]:
    return {**_file(folder, file), "size_bytes": file.stat().st_size}
