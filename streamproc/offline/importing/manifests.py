"""What a manifest says of an imported member, and of an ensemble that is made for it."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from streamproc import __version__
from streamproc.errors import SettingsError
from streamproc.offline.importing.import_source import AdaptedModel, ImportSource
from streamproc.offline.importing.model_files import ModelFiles
from streamproc.repository.files import sha256
from streamproc.repository.manifest import Manifest, MemberSection, WindowSection
from streamproc.repository.section import describe_faults
from streamproc.repository.versioned_name import plain_name
from streamproc.repository.writing import tokenizer_section


def new_ensemble(
    source: ImportSource,
    task: str,
    adapted: AdaptedModel,
    tokenizer: Path,
    member: MemberSection,
) -> Manifest:
    """The manifest of an ensemble of that one member; raises SettingsError.

    tokenizer: its file, in the ensemble's folder
    """
    options = source.options
    try:
        return Manifest(
            format=1,
            name=plain_name(options.ensemble),
            task=task,
            description=options.description,
            license=options.license or source.config.license,
            problem_type=adapted.problem_type,
            labels=tuple(label for label in adapted.labels if label),
            tokenizer=tokenizer_section(tokenizer.parent, tokenizer),
            window=WindowSection(
                max_tokens=adapted.window_tokens, overlap_tokens=adapted.overlap_tokens
            ),
            decoding=adapted.decoding,
            members=(member,),
        )
    except ValidationError as error:
        faults = describe_faults(error, Manifest)
        raise SettingsError(f"--window, --overlap: {faults}") from None


def provenance(source: ImportSource, adapted: AdaptedModel) -> dict[str, str]:
    """Where a member came from, and what was done to it."""
    kept = {
        "source": source.files.path.resolve().name,
        "source_sha256": ", ".join(sha256(file) for file in _weights(source.files)),
        "producer": adapted.producer,
        "imported_by": f"streamproc {__version__}",
        "adapted": "; ".join(adapted.changes),
        "license": source.options.license or source.config.license,
    }
    return {key: value for key, value in kept.items() if value}


def _weights(files: ModelFiles) -> list[Path]:
    """The files that hold what was imported, in the order of their names."""
    if files.format == "onnx":
        return [file for file in (files.model, files.decoder) if file]
    if files.path.is_file():
        return [files.path]
    kinds = ("*.safetensors", "saved_model.pb", "variables/*")
    return sorted(file for kind in kinds for file in files.path.glob(kind))
