"""From a finished run folder to an ensemble that is served: export, check, quantise, describe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamproc.errors import TrainingError
from streamproc.offline.corpus.rows import described
from streamproc.offline.training.events import EnsembleWritten, MemberShipped, OnEvent
from streamproc.offline.training.plan import Plan
from streamproc.offline.training.run_folder import RunFolder
from streamproc.offline.training.training_session import MemberJob, TrainingSession, places
from streamproc.offline.training.training_task import ExportedMember
from streamproc.repository.atomic import write_whole
from streamproc.repository.decoding_section import DecodingSection
from streamproc.repository.digests import sha256
from streamproc.repository.manifest import (
    Manifest,
    MemberSection,
    PrefixSection,
    WindowSection,
)
from streamproc.repository.repository import MANIFEST, PREFIXES
from streamproc.repository.writing import manifest_toml, member_section, tokenizer_section


def export_ensemble(plan: Plan, tell: OnEvent) -> None:
    """Write the members that are trained in `plan.work` as an ensemble into `plan.out`.

    Nothing is written for a member before it has passed its checks, and the manifest comes last.
    Raises TrainingError when a member is not trained to its end, or a check fails.
    """
    run = RunFolder(plan.work)
    run.read()
    members = places(plan, run) if run.groundwork.is_dir() else []
    if unfinished := [place.part for place in members if not run.finished(place.part)]:
        raise TrainingError(
            f"{run.path}: {', '.join(unfinished)} not trained to the end; go on with "
            "`streamproc train`."
        )
    if not members:
        raise TrainingError(f"{run.path}: nothing is trained there yet; see `streamproc train`.")
    desk = TrainingSession(plan)
    classroom = desk.classroom
    folder = plan.out / plan.ensemble
    digests = ", ".join(sha256(source.path) for source in plan.corpus)
    shipped: list[tuple[MemberJob, ExportedMember, str]] = []
    for place in members:
        lesson, records = desk.trained(place)
        part = place.part
        one = lesson.ship(run.member(part), folder / part / plan.version, plan.precision)
        told = f"{part} ({plan.partitioning.description}), {records} records"
        shipped.append((place, one, f"{described(plan.corpus)}, {told}, sha256 {digests}"))
        tell(MemberShipped(part, one))

    prefix = classroom.prefix
    if prefix:
        path = plan.out / PREFIXES / f"{prefix.sha256}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(prefix.model)
    # Without line breaks: half of the file would be indentation.
    (folder / "tokenizer.json").write_text(
        classroom.tokenizer.to_str(pretty=False), encoding="utf-8"
    )
    manifest = Manifest(
        format=1,
        name=plan.ensemble,
        task=plan.course.task,
        description=plan.description,
        license=plan.license,
        labels=tuple(classroom.labels),
        tokenizer=tokenizer_section(folder, folder / "tokenizer.json"),
        window=WindowSection(
            max_tokens=classroom.window.max_tokens, overlap_tokens=classroom.window.overlap_tokens
        ),
        decoding=DecodingSection.model_validate(classroom.decoding)
        if classroom.decoding is not None
        else None,
        prefix=PrefixSection(sha256=prefix.sha256, size_bytes=len(prefix.model), precision="int8")
        if prefix
        else None,
        members=_members(plan, folder, shipped),
    )
    path = folder / MANIFEST
    write_whole(path, manifest_toml(manifest))
    tell(EnsembleWritten(path))


def _members(
    plan: Plan, folder: Path, members: Sequence[tuple[MemberJob, ExportedMember, str]]
) -> tuple[MemberSection, ...]:
    reached = [next(iter(shipped.shipped.metrics.values())) for _, shipped, _ in members]
    total = sum(reached) or 1.0
    return tuple(
        member_section(
            folder,
            place.part,
            plan.version,
            shipped.path,
            shipped.decoder,
            precision=shipped.precision,
            labels=tuple(shipped.labels),
            weight=round(max(own / total, 1e-4), 4),
            provenance={"base": plan.course.base, **_trunk(plan), "corpus": corpus},
            metrics={
                f"validation_{name}{form}": round(value, 4)
                for form, judged in (("", shipped.shipped), ("_fp32", shipped.fp32))
                for name, value in judged.metrics.items()
            },
        )
        for (place, shipped, corpus), own in zip(members, reached, strict=True)
    )


def _trunk(plan: Plan) -> dict[str, str]:
    """What a member's provenance says of the model that it branched off, if it did."""
    if plan.trunk is None:
        return {}
    return {"trunk": f"one model of the whole corpus, at most {plan.trunk.epochs} epochs"}
