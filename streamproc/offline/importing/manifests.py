"""What a manifest says of an imported member, and of an ensemble that is made for it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from streamproc import __version__
from streamproc.errors import SettingsError
from streamproc.messages.validation import in_json_words
from streamproc.offline.importing.import_source import AdaptedModel, ImportSource
from streamproc.offline.importing.sources import Source
from streamproc.repository.files import sha256
from streamproc.repository.manifest import Manifest, MemberSection, TokenizerFile, WindowSection


def new_ensemble(
    subject: ImportSource, task: str, prepared: AdaptedModel, member: MemberSection
) -> Manifest:
    """The manifest of an ensemble of that one member; raises SettingsError."""
    wishes = subject.wishes
    try:
        return Manifest(
            format=1,
            name=wishes.ensemble,
            task=task,
            description=wishes.description,
            license=wishes.license or subject.configuration.license,
            labels=tuple(label for label in prepared.labels if label),
            tokenizer=TokenizerFile(
                file="tokenizer.json", sha256=hashlib.sha256(subject.tokenizer).hexdigest()
            ),
            window=WindowSection(
                max_tokens=prepared.window_tokens, overlap_tokens=prepared.overlap_tokens
            ),
            decoding=prepared.decoding,
            members=(member,),
        )
    except ValidationError as error:
        faults = "; ".join(in_json_words(fault) for fault in error.errors(include_url=False))
        raise SettingsError(f"--window, --overlap: {faults}") from None


def provenance(subject: ImportSource, source: Source, prepared: AdaptedModel) -> dict[str, str]:
    """Where a member came from, and what was done to it.

    source: as it was found, before it was exported
    """
    kept = {
        "source": source.path.resolve().name,
        "source_sha256": ", ".join(sha256(file) for file in _weights(source)),
        "producer": prepared.producer,
        "imported_by": f"streamproc {__version__}",
        "adapted": "; ".join(prepared.changes),
        "license": subject.wishes.license or subject.configuration.license,
    }
    return {key: value for key, value in kept.items() if value}


def _weights(source: Source) -> list[Path]:
    """The files that hold what was imported, in the order of their names."""
    if source.form == "onnx":
        return [file for file in (source.model, source.decoder) if file]
    if source.path.is_file():
        return [source.path]
    kinds = ("*.safetensors", "saved_model.pb", "variables/*")
    return sorted(file for kind in kinds for file in source.path.glob(kind))
