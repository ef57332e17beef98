"""From a finished run folder to an ensemble that is served: export, check, quantise, describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamproc.errors import TrainingError
from streamproc.offline.corpus.rows import described
from streamproc.offline.training.events import EnsembleWritten, MemberExported, OnEvent
from streamproc.offline.training.plan import TrainingPlan
from streamproc.offline.training.run_folder import RunFolder
from streamproc.offline.training.training_session import TrainingSession, member_jobs
from streamproc.offline.training.training_task import ExportedMember, TaskSetup
from streamproc.repository.decoding_section import DecodingSection
from streamproc.repository.files import atomic_file, atomic_write, sha256
from streamproc.repository.manifest import Manifest, MemberSection, PrefixSection, WindowSection
from streamproc.repository.repository import MANIFEST, PREFIXES, Repository
from streamproc.repository.versioned_name import plain_name
from streamproc.repository.writing import manifest_toml, member_section, tokenizer_section


def version_folder(plan: TrainingPlan, part: str) -> Path:
    """Where a member is exported to."""
    return ensemble_folder(plan) / part / plan.config.version


def ensemble_folder(plan: TrainingPlan) -> Path:
    """Where the ensemble is written to."""
    return Repository(plan.config.out).folder(plan.config.ensemble)


def export_ensemble(plan: TrainingPlan, on_event: OnEvent) -> None:
    """Write the members that are trained in the run folder as an ensemble into the repository.

    Nothing is written for a member before it has passed its checks, and the manifest comes last.
    Raises TrainingError when a member is not trained to its end, a check fails, or the repository
    holds members of this version already.
    """
    run = RunFolder(plan.folder)
    run.read()
    jobs = member_jobs(plan, run) if run.shared.is_dir() else []
    if unfinished := [job.part for job in jobs if not run.finished(job.part)]:
        raise TrainingError(
            f"{run.path}: {', '.join(unfinished)} not trained to the end; go on with "
            "`streamproc train`."
        )
    if not jobs:
        raise TrainingError(f"{run.path}: nothing is trained there yet; see `streamproc train`.")
    refuse_existing_version(plan, run)
    session = TrainingSession(plan)
    members: dict[str, tuple[ExportedMember, int]] = {}
    for job in jobs:
        member, records = session.trained(job)
        folder = version_folder(plan, job.part)
        run.note_export(folder)
        exported = member.export(run.member(job.part), folder, plan.config.precision)
        members[job.part] = (exported, records)
        on_event(MemberExported(job.part, exported))
    on_event(EnsembleWritten(_write(plan, session.setup, _sections(plan, members))))


def refuse_existing_version(plan: TrainingPlan, run: RunFolder) -> None:
    """Raise TrainingError where the ensemble has members of this version from another run.

    Members with other names count too: the manifest of what workers may be serving is replaced.
    """
    for folder in sorted(ensemble_folder(plan).glob(f"*/{plan.config.version}")):
        if not run.has_exported(folder):
            raise TrainingError(
                f"{folder} is there already: name another --version or --out, or remove it."
            )


def _write(plan: TrainingPlan, setup: TaskSetup[Any], members: tuple[MemberSection, ...]) -> Path:
    """Write what members share, then the manifest; returns its path."""
    config, prefix = plan.config, setup.prefix
    folder = ensemble_folder(plan)
    if prefix:
        path = config.out / PREFIXES / f"{prefix.sha256}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Others that are served may have it too: it is never seen half-written.
        with atomic_file(path) as unfinished:
            unfinished.write_bytes(prefix.model)
    tokenizer = folder / "tokenizer.json"
    # Without line breaks: half of the file would be indentation.
    atomic_write(tokenizer, setup.tokenizer.to_str(pretty=False))
    manifest = Manifest(
        format=1,
        name=plain_name(config.ensemble),
        task=config.task,
        description=config.description,
        license=config.license,
        labels=tuple(setup.labels),
        tokenizer=tokenizer_section(folder, tokenizer),
        window=WindowSection(
            max_tokens=setup.window.max_tokens, overlap_tokens=setup.window.overlap_tokens
        ),
        decoding=None if setup.decoding is None else DecodingSection.model_validate(setup.decoding),
        prefix=PrefixSection(sha256=prefix.sha256, size_bytes=len(prefix.model), precision="int8")
        if prefix
        else None,
        members=members,
    )
    atomic_write(folder / MANIFEST, manifest_toml(manifest))
    return folder / MANIFEST


def _sections(
    plan: TrainingPlan, members: dict[str, tuple[ExportedMember, int]]
) -> tuple[MemberSection, ...]:
    """The manifest's section of each member, with its records and what was measured."""
    config = plan.config
    provenance = {"base": plan.recipe.base}
    if config.seed_model_epochs:
        epochs = config.seed_model_epochs
        provenance["seed_model"] = f"one model of the whole corpus, at most {epochs} epochs"
    digests = ", ".join(sha256(source.path) for source in plan.corpus)
    reached = [next(iter(one.validation.metrics.values())) for one, _ in members.values()]
    total = sum(reached) or 1.0
    sections = []
    for (part, (exported, records)), own in zip(members.items(), reached, strict=True):
        learned = part if config.learn_from == "own" else f"all but {part}"
        corpus = (
            f"{described(plan.corpus)}, {learned} ({plan.partitioning.description}), "
            f"{records} records, sha256 {digests}"
        )
        section = member_section(
            ensemble_folder(plan),
            part,
            config.version,
            exported.path,
            exported.decoder,
            precision=exported.precision,
            labels=tuple(exported.labels),
            weight=round(max(own / total, 1e-4), 4),
            provenance={**provenance, "corpus": corpus},
            metrics={
                f"validation_{name}{form}": round(value, 4)
                for form, metrics in (
                    ("", exported.validation),
                    ("_fp32", exported.validation_fp32),
                )
                for name, value in metrics.metrics.items()
            },
        )
        sections.append(section)
    return tuple(sections)
