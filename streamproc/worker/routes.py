"""Which topics are served by which ensembles, and how their requests are answered."""

from __future__ import annotations

from collections.abc import Collection

from streamproc.did_you_mean import there_are
from streamproc.errors import ModelRefused, SettingsError
from streamproc.kafka.topics import RequestTopic, TopicCatalogue
from streamproc.messages.outgoing import is_own_header
from streamproc.messages.publishing import ReplyRoute
from streamproc.repository.repository import Repository
from streamproc.serving.tasks.catalogue import TASKS
from streamproc.settings import Settings


def build_route(
    topic: RequestTopic, settings: Settings, replies: Collection[str] = ()
) -> ReplyRoute:
    """How the requests of a topic are answered, as its description and the settings say.

    replies: the described topics that requests may name for their responses
    """
    return ReplyRoute(
        task=topic.task,
        lane=topic.lane,
        ensemble=topic.ensemble,
        responses=topic.responses,
        dead_letters=topic.dlq,
        reply_topics=frozenset((*settings.reply_topics, *replies)),
        max_message_bytes=settings.max_message_bytes,
        copied_headers=frozenset(settings.copy_headers),
    )


def served_tasks(
    catalogue: TopicCatalogue, repository: Repository, *, required: bool = True
) -> tuple[str, ...]:
    """The tasks that have topics, and the ensemble that these name.

    required: whether there have to be any, as where there are no routes to serve instead
    Raises ModelRefused, TopicsError.
    """
    there = set(repository.names())
    if not required and not catalogue.tasks():
        return ()
    topics = catalogue.requests()
    served = tuple(
        task
        for task in TASKS
        if (named := {topic.ensemble for topic in topics if topic.task == task}) and named <= there
    )
    if not served and required:
        raise ModelRefused(
            f"{repository.root} has none of the ensembles that topics name: "
            f"{', '.join(sorted({topic.ensemble for topic in topics}))}; set STREAMPROC_MODELS_DIR"
        )
    return served


def require_ensemble(name: str, there: Collection[str], task: str, settings: Settings) -> None:
    """Raises ModelRefused saying which there are, or which task the ensemble is for."""
    if name in there:
        return
    repository = Repository(settings.models_dir)
    if name in repository.names():
        of_task = repository.open(name).manifest.task
        raise ModelRefused(f"ensemble {name!r} is for {of_task}, not for {task} (--task)")
    raise ModelRefused(
        f"no ensemble {name!r} for {task} in {settings.models_dir}; "
        f"{there_are(name, sorted(there))} (--ensemble)"
    )


def require_default(topic: RequestTopic, engines: Collection[str]) -> None:
    if topic.ensemble not in engines:
        raise ModelRefused(
            f"{topic.name} is answered by the ensemble {topic.ensemble!r} unless a request names "
            f"another, and there is none for {topic.task}; there are: "
            f"{', '.join(sorted(engines)) or 'none'}"
        )


def refuse_own_headers(settings: Settings) -> None:
    if own := [name for name in settings.copy_headers if is_own_header(name)]:
        raise SettingsError(
            f"STREAMPROC_COPY_HEADERS={','.join(settings.copy_headers)}: {', '.join(own)} can't be "
            "copied: in a response they mean something else"
        )
