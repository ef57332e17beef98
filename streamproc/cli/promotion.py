"""`streamproc models promote`, `rollback` and `pin`: which version all workers of a group serve."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from streamproc.cli.options import KAFKA, with_settings
from streamproc.cli.terminal import print_json, stdout_console
from streamproc.cli.versions import verify_on_cpu
from streamproc.errors import ModelRefused, TopicsError
from streamproc.logs.printable import printable
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.messages.model_choice import ModelChoice, VersionDigest
    from streamproc.repository.repository import Repository, StoredEnsemble
    from streamproc.status.rollout import Rollout

FLAGS = (
    *KAFKA,
    "group_id",
    "models_dir",
    "model_key",
    "topics_dir",
    "routes_dir",
    "max_message_bytes",
    "log_level",
    "log_format",
)

Version = Annotated[
    str,
    typer.Argument(metavar="NAME@VERSION", help="a version that `models list` shows"),
]
Ensemble = Annotated[str, typer.Argument(metavar="NAME", help="name of the ensemble")]
Verify = Annotated[
    bool,
    typer.Option("--verify/--no-verify", help="load it on this machine first, as a worker would"),
]
Wait = Annotated[
    float,
    typer.Option(
        "--wait", min=0, help="seconds to wait until every worker serves it; 0: do not wait"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


@with_settings(FLAGS)
def promote(
    settings: Settings, version: Version, verify: Verify = True, wait: Wait = 60.0,
    json: Json = False,
) -> None:  # fmt: skip
    """Have all workers of a group serve a version of an ensemble, without a restart.

    Each worker loads it beside the version that it serves, and exchanges them between two batches.
    A version that a worker can't load, or that has other labels, is refused, and the old one goes
    on. Exit code 1 when a worker refuses it or does not say so in time.
    """
    promote_version(settings, version, verify=verify, wait_s=wait, json=json)


def promote_version(
    settings: Settings, version: str, *, verify: bool, wait_s: float, json: bool
) -> None:
    """Promote a version, and say so; raises typer.Exit where a worker does not serve it."""
    from streamproc.repository.repository import Repository
    from streamproc.worker.interface import Interface

    repository = Repository.trusting(settings.models_dir, settings.model_key)
    stored = repository.open(version)
    topic = _models_topic(settings)
    current = asyncio.run(_chosen(settings, topic, stored.manifest.name))
    served = _as_served(repository, stored.manifest.name, current)
    if served is not None:
        Interface.of_stored(served).require_same(stored, served.version)
    if verify:
        from streamproc.logs import configure_logging

        configure_logging(settings)
        verify_on_cpu(settings.models_dir, version)
    to = _digest(stored)
    before = current or _default(settings, repository, stored.manifest.name)
    _tell(settings, topic, before.promoted(to), wait_s, json=json)


@with_settings(FLAGS)
def rollback(settings: Settings, name: Ensemble, wait: Wait = 60.0, json: Json = False) -> None:
    """Have all workers of a group serve the version again that was served before.

    Exit code 1 when a worker refuses it or does not say so in time.
    """
    topic = _models_topic(settings)
    current = asyncio.run(_chosen(settings, topic, name))
    if current is None:
        raise ModelRefused(
            f"nothing was promoted for {name!r} in the group {settings.group_id}: workers serve "
            "what the folder of models says, and there is nothing to roll back to"
        )
    _tell(settings, topic, current.rolled_back(), wait, json=json)


@with_settings(FLAGS)
def pin(
    settings: Settings,
    name: Annotated[str, typer.Argument(metavar="NAME", help="name of the ensemble")],
    off: Annotated[bool, typer.Option("--off", help="let versions be promoted again")] = False,
    json: Json = False,
) -> None:
    """Keep an ensemble in the version that is served: promote and rollback are refused meanwhile.

    A single worker is pinned by its setting STREAMPROC_MODEL_VERSIONS instead.
    """
    from streamproc.repository.repository import Repository

    topic = _models_topic(settings)
    current = asyncio.run(_chosen(settings, topic, name))
    if current is None:
        current = _default(settings, Repository(settings.models_dir), name)
    _tell(settings, topic, current.pinned(on=not off), 0.0, json=json)


def _models_topic(settings: Settings) -> str:
    from streamproc.kafka.topics import load_topics

    topic = load_topics(settings.topics_dir).models_topic()
    if topic is None:
        raise TopicsError(
            f"no topic of kind models is described in {settings.topics_dir}: copy "
            "streamproc.models.v1.yaml, its schema and its example from those shipped"
        )
    return topic


async def _chosen(settings: Settings, topic: str, name: str) -> ModelChoice | None:
    from streamproc.kafka.model_choices import read_choices

    return (await read_choices(settings, topic)).get(name)


def _digest(stored: StoredEnsemble) -> VersionDigest:
    from streamproc.messages.model_choice import VersionDigest

    return VersionDigest(version=stored.version, manifest=stored.digest)


def _default(settings: Settings, repository: Repository, name: str) -> ModelChoice:
    """What workers serve where nothing was chosen."""
    from streamproc.messages.model_choice import ModelChoice

    stored = repository.open(name)
    return ModelChoice(
        group=settings.group_id, ensemble=stored.manifest.name, serves=_digest(stored)
    )


def _as_served(
    repository: Repository, name: str, current: ModelChoice | None
) -> StoredEnsemble | None:
    """The version that serves now, as far as this machine has it."""
    from streamproc.repository.versioned_name import versioned

    try:
        return repository.open(versioned(name, current.serves.version if current else None))
    except ModelRefused:
        return None


def _tell(
    settings: Settings, topic: str, choice: ModelChoice, wait_s: float, *, json: bool
) -> None:
    """Store a choice, say so, and wait for workers; raises typer.Exit where one does not serve."""
    from streamproc.clock import SystemClock
    from streamproc.kafka.group_table import store_entry

    clock = SystemClock()
    choice = choice.model_copy(update={"at_ms": clock.now_ms(), "by": user_name()})
    asyncio.run(store_entry(settings, topic, choice, clock))
    console = stdout_console()
    if not json:
        named = f"{choice.ensemble}@{choice.serves.version}"
        kept = ", and it is pinned to that" if choice.is_pinned else ""
        told = f" is what workers of the group {printable(choice.group)} serve{kept}"
        console.print(Text.assemble((named, "bold"), told), soft_wrap=True)
    found = asyncio.run(_waited(settings, choice, wait_s)) if wait_s else None
    if json:
        said = choice.model_dump(mode="json")
        print_json({**said, "workers": None if found is None else asdict(found)})
    elif found is not None:
        _show(found, console.print)
    if found is not None and (found.refused or found.waiting):
        raise typer.Exit(1)


async def _waited(settings: Settings, choice: ModelChoice, wait_s: float) -> Rollout:
    from streamproc.status.heard import heard
    from streamproc.status.rollout import rollout

    return await heard(settings, lambda states, now_ms: rollout(states, choice, now_ms), wait_s)


def _show(found: Rollout, say: Callable[..., None]) -> None:
    for worker in found.serving:
        say(Text.assemble(("serves", "green"), f"  {printable(worker)}"))
    for worker, version in found.pinned.items():
        said = f"  {printable(worker)}: version {printable(version)}, by its own settings"
        say(Text.assemble(("pinned", "yellow"), said), soft_wrap=True)
    for worker, reason in found.refused.items():
        said = f" {printable(worker)} keeps what it serves: {printable(reason)}"
        say(Text.assemble(("refused", "red"), said), soft_wrap=True)
    for worker in found.waiting:
        said = f" {printable(worker)} has not said yet; `streamproc status` shows when it does"
        say(Text.assemble(("waiting", "yellow"), said), soft_wrap=True)
    for worker in found.silent:
        said = f" {printable(worker)} has said nothing for long, and was not waited for"
        say(Text.assemble(("silent", "yellow"), f" {said}"), soft_wrap=True)
    if not any(asdict(found).values()):
        say("no worker of the group serves this ensemble now; those that start will")


def user_name() -> str:
    """Of whoever gives a command; "": there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""
