"""Putting a member into the model repository: whole, tried out, or not at all."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from streamproc.errors import ModelRefused
from streamproc.offline.importing.import_source import AdaptedModel, ImportSource
from streamproc.offline.importing.manifests import new_ensemble, provenance
from streamproc.repository.changes import (
    Verify,
    beside,
    manifest_text,
    replace_manifest,
    require_unchanged,
    trial_copy,
    try_manifest,
)
from streamproc.repository.manifest import MemberSection
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.repository.rewriting import with_another_member, with_member
from streamproc.repository.section import describe_faults
from streamproc.repository.versions import keep_version
from streamproc.repository.writing import manifest_toml, member_section


def install_new(
    source: ImportSource, task: str, adapted: AdaptedModel, verify: Verify
) -> MemberSection:
    """Write an ensemble of that one member; returns what its manifest says of the member.

    All is put together and tried out beside the repository first. Raises ModelRefused, and leaves
    everything as it was, where it would not load.
    """
    root = source.options.out
    folder = Repository(root).folder(source.options.ensemble)
    with beside(root) as staging:
        trial = staging / folder.name
        trial.mkdir()
        tokenizer = trial / "tokenizer.json"
        tokenizer.write_bytes(source.tokenizer)
        member = _write_member(trial, source, adapted)
        ensemble = new_ensemble(source, task, adapted, tokenizer, member)
        try_manifest(trial, manifest_toml(ensemble), verify)
        trial.replace(folder)
    return member


def install_beside(
    stored: StoredEnsemble, source: ImportSource, adapted: AdaptedModel, verify: Verify
) -> MemberSection:
    """Let a member join an ensemble, or another version of it lie beside the one there is.

    returns: what a manifest says of the member
    All is put together and tried out beside the repository first. The version's folder is there
    before the manifest names it, so that whoever reads meanwhile sees the old ensemble or the new
    one. Raises ModelRefused, and leaves everything as it was, where it would not load.
    """
    text, replaced = manifest_text(stored), source.replaced
    with trial_copy(stored) as trial:
        member = _write_member(trial, source, adapted)
        if replaced:
            changed = with_member(text, member.name, member)
        else:
            changed = with_another_member(text, member)
        try_manifest(trial, changed, verify)
        require_unchanged(stored)
        version = Path(member.name, member.version)
        if (stored.folder / version).exists():
            raise ModelRefused(
                f"{stored.folder / version} is there already; name another --member or --version"
            )
        (stored.folder / version).parent.mkdir(exist_ok=True)
        (trial / version).replace(stored.folder / version)
    if source.options.use:
        if replaced:
            keep_version(stored.folder, replaced)
        replace_manifest(stored, changed)
    return member


def _write_member(folder: Path, source: ImportSource, adapted: AdaptedModel) -> MemberSection:
    """Write the model into an ensemble's folder; returns what a manifest says of it."""
    place = folder / source.member / source.options.version
    place.mkdir(parents=True)
    file, decoder = place / "model.onnx", None
    if adapted.decoder is not None:
        file, decoder = place / "encoder.onnx", place / "decoder.onnx"
        decoder.write_bytes(adapted.decoder)
    file.write_bytes(adapted.model)
    try:
        member = member_section(
            folder,
            source.member,
            source.options.version,
            file,
            decoder,
            precision=adapted.precision,
            labels=adapted.labels,
            # A new version has the say that the one before it had.
            weight=source.replaced.weight if source.replaced else 1.0,
            provenance=provenance(source, adapted),
        )
    except ValidationError as error:
        faults = describe_faults(error, MemberSection)
        raise ModelRefused(f"member {source.member}: {faults}") from None
    keep_version(folder, member)
    return member
