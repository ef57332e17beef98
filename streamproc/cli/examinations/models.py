"""Of the ensembles in the folder of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamproc.cli.examinations.finding import Finding, first_line
from streamproc.errors import OperatorError, SettingsError
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.repository.repository import Repository, StoredEnsemble


def of_models(settings: Settings) -> list[Finding]:
    """Whether files are as manifests say, and some task has an ensemble."""
    from streamproc.kafka.topics import load_topics
    from streamproc.repository.repository import Repository
    from streamproc.worker import served_tasks

    try:
        repository = Repository.trusting(settings.models_dir, settings.model_key)
    except SettingsError as error:
        return [Finding("models", "failed", str(error), "name another file, or none")]
    findings = []
    names = repository.names() if settings.models_dir.is_dir() else []
    for name in names:
        stored, wrong = verified(repository, name)
        if stored is None:
            do = "get the files again, or run `streamproc models verify` for all that is wrong"
            findings.append(Finding("models", "failed", f"{name}: {wrong}", do))
    try:
        tasks = served_tasks(load_topics(settings.topics_dir), repository)
    except OperatorError as error:
        do = "set STREAMPROC_MODELS_DIR, or import one with `streamproc models import`"
        return [*findings, Finding("models", "failed", first_line(error), do)]
    if findings:
        return findings
    signed = "" if settings.model_key is None else ", signed"
    said = f"{len(names)} ensembles, digests as written{signed}, for {', '.join(tasks)}"
    return [Finding("models", "ok", said)]


def verified(repository: Repository, name: str) -> tuple[StoredEnsemble | None, str]:
    """An ensemble whose files are as its manifest says; without one, what is wrong."""
    try:
        stored = repository.open(name)
        stored.verify()
    except (OperatorError, OSError) as error:
        return None, first_line(error)
    return stored, ""
