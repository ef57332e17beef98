"""Which ensemble is meant, and where it lies."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

from streamproc.did_you_mean import there_are
from streamproc.errors import ModelRefused
from streamproc.kafka.topics import load_topics
from streamproc.messages.lane import Lane
from streamproc.repository.repository import MANIFEST, Repository, StoredEnsemble
from streamproc.repository.versioned_name import plain_name, versioned
from streamproc.settings import Settings

Ensemble = str | PathLike[str]
"""The name of an ensemble in the folder of models, as NAME or NAME@VERSION, or the path of an
ensemble's own folder."""


def open_ensemble(
    settings: Settings, task: str | None, ensemble: Ensemble | None
) -> StoredEnsemble:
    """The ensemble, its manifest read; no model is loaded.

    task: None: the one that the ensemble is for
    ensemble: None: the one that the task's bulk topic names
    Raises ModelRefused saying which ensembles there are, TopicsError.
    """
    root, is_folder = settings.models_dir, False
    if ensemble is None:
        name = load_topics(settings.topics_dir).request_topic(task or "", Lane.BULK).ensemble
    elif folder := folder_of(ensemble):
        if not (folder / MANIFEST).is_file():
            raise ModelRefused(
                f"{folder} is not the folder of an ensemble: it has no {MANIFEST}; streamproc "
                "models import makes one of a model"
            )
        root, name, is_folder = folder.parent, folder.name, True
    else:
        name = fspath(ensemble)
    repository = Repository.trusting(root, settings.model_key)
    there = repository.names()
    plain = plain_name(name)
    if plain not in there:
        raise ModelRefused(f"no ensemble {name!r} in {repository.root}; {there_are(plain, there)}")
    if name == plain and not is_folder:
        name = versioned(plain, settings.pinned_versions.get(plain))
    stored = repository.open(name)
    if task not in (None, stored.manifest.task):
        of_task = [one for one in there if repository.open(one).manifest.task == task]
        raise ModelRefused(
            f"ensemble {name!r} is for {stored.manifest.task}, not for {task}; for {task} there "
            f"are: {', '.join(of_task) or 'none'}"
        )
    return stored


def folder_of(ensemble: Ensemble) -> Path | None:
    """The folder that is meant; None where it is a name. Raises ModelRefused where it is neither.

    A name is never looked for where the program happens to run.
    """
    if not isinstance(ensemble, (str, PathLike)):
        raise ModelRefused(
            "a model is the name of an ensemble, or its folder, as streamproc models import makes "
            f"it; found {type(ensemble).__name__}"
        )
    path = Path(ensemble)
    return path.absolute() if isinstance(ensemble, PathLike) or len(path.parts) > 1 else None
