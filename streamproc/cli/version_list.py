"""`streamproc models list --versions`: every version on disk, and which of them serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from streamproc.cli.tables import print_table
from streamproc.cli.terminal import print_json, stdout_console
from streamproc.errors import ModelRefused
from streamproc.logs.printable import printable
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.messages.model_choice import ModelChoice
    from streamproc.messages.worker_state import WorkerState
    from streamproc.repository.repository import Repository


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of an ensemble.

    chosen: promoted or pinned, or default where nothing was promoted; else nothing
    workers: that serve it now
    refused: why it can't be read here, or why workers that were to serve it do not
    """

    name: str
    version: str
    manifest: str
    members: dict[str, str]
    chosen: str
    workers: list[str]
    refused: str


async def list_versions(settings: Settings, *, json: bool) -> None:
    """Print every version, with what Kafka knows of it; raises OperatorError."""
    from streamproc.clock import SystemClock
    from streamproc.kafka.model_choices import read_choices
    from streamproc.kafka.topics import load_topics
    from streamproc.repository.repository import Repository
    from streamproc.status.feed import StatusFeed

    repository = Repository(settings.models_dir)
    repository.names()  # a folder that is none is told before Kafka is asked
    topic = load_topics(settings.topics_dir).models_topic()
    choices = await read_choices(settings, topic) if topic is not None else {}
    clock = SystemClock()
    async with StatusFeed(settings, clock) as feed:
        states = [one for one in feed.states() if not one.is_stale(clock.now_ms())]
    rows = version_rows(repository, choices, states)
    if json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        stdout_console(),
        ("ensemble", "version", "manifest", "members", "", "workers", "refused"),
        [
            (
                row.name,
                row.version,
                row.manifest[:12],
                ", ".join(f"{name} {version}" for name, version in row.members.items()),
                row.chosen,
                str(len(row.workers)),
                printable(row.refused),
            )
            for row in rows
        ],
        names=(0, 1, 2, 3),
        numbers=(5,),
    )


def version_rows(
    repository: Repository, choices: Mapping[str, ModelChoice], states: Sequence[WorkerState]
) -> list[VersionRow]:
    """A row for every version on disk, ensembles and versions in order."""
    rows = []
    for name in repository.names():
        choice = choices.get(name)
        versions = repository.versions(name)
        for version in versions:
            manifest, members, refused = "", {}, ""
            try:
                stored = repository.open(f"{name}@{version}")
            except ModelRefused as reason:
                refused = str(reason)
            else:
                manifest = stored.digest
                members = {one.name: one.version for one in stored.manifest.members}
            served = [
                state.worker
                for state in states
                for one in state.ensembles
                if (one.name, one.version, one.manifest) == (name, version, manifest)
            ]
            told = [
                one.refused
                for state in states
                for one in state.ensembles
                if (one.name, one.wanted) == (name, version) and one.refused
            ]
            chosen = ""
            if choice is None:
                chosen = "default" if version == versions[0] else ""
            elif choice.serves.version == version:
                chosen = "pinned" if choice.is_pinned else "promoted"
            refused = refused or "; ".join(dict.fromkeys(told))
            rows.append(VersionRow(name, version, manifest, members, chosen, served, refused))
    return rows
