"""Of Kafka, and of what stands on its topics: what was promoted, experiments."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from streamproc.cli.examinations.finding import Finding, first_line, some
from streamproc.cli.examinations.models import verified
from streamproc.errors import KafkaRefused, OperatorError
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.kafka.topic_admin import TopicAdmin
    from streamproc.kafka.topic_drift import DescribedTopic

_ANSWER_S: Final = 30.0


async def of_kafka(settings: Settings) -> list[Finding]:
    """Whether a broker answers, and what is on it; no more where none does."""
    from streamproc.kafka.topic_admin import TopicAdmin

    secured = settings.kafka_security_protocol
    try:
        async with asyncio.timeout(_ANSWER_S), TopicAdmin(settings) as admin:
            broker = Finding(
                "broker", "ok", f"{settings.kafka_bootstrap_servers} answers ({secured})"
            )
            return [
                broker,
                *await _of_topics(settings, admin),
                *await _of_promoted(settings, admin),
                *await _of_experiments(settings, admin),
            ]
    except TimeoutError:
        said = f"{settings.kafka_bootstrap_servers} takes connections and does not answer"
    except KafkaRefused as error:
        said, _, do = str(error).partition("; ")
        return [Finding("broker", "failed", said, do)]
    except OperatorError as error:
        said = str(error).partition("; start one")[0]
    do = "start one (`streamproc broker`), or set STREAMPROC_KAFKA_BOOTSTRAP_SERVERS"
    if secured != "PLAINTEXT":
        do = (
            "check STREAMPROC_KAFKA_SECURITY_PROTOCOL, the certificates of STREAMPROC_KAFKA_SSL_*, "
            "and user and password of STREAMPROC_KAFKA_SASL_*: a broker that refuses them closes "
            "the connection without a word"
        )
    return [Finding("broker", "failed", said, do)]


async def _of_topics(settings: Settings, admin: TopicAdmin) -> list[Finding]:
    from streamproc.enrichment.catalogue import load_routes, route_topics
    from streamproc.kafka.topics import load_topics

    try:
        routes = load_routes(settings)
        topics: list[DescribedTopic] = [
            *load_topics(settings.topics_dir).topics.values(),
            *route_topics(routes),
        ]
        differences = await admin.drift(topics)
        read = {topic for route in routes for topic in route.from_.topics}
        lacking = sorted(read - (await admin.found(read)).keys())
    except OperatorError as error:
        return [Finding("topics", "failed", first_line(error), "mend what it names")]
    missing = [one.topic for one in differences if one.found is None]
    drifted = [one for one in differences if one.found is not None]
    findings = []
    if missing:
        said = f"{len(missing)} of {len(topics)} are missing: {some(missing)}"
        findings.append(Finding("topics", "failed", said, "run `streamproc topics apply`"))
    if lacking:
        said = f"routes read what is not there: {some(lacking)}"
        findings.append(Finding("topics", "failed", said, "create these: they are yours"))
    if drifted:
        named = [f"{one.topic} {one.what} is {one.found}, not {one.described}" for one in drifted]
        do = "change the topics with Kafka's own tools, or their descriptions"
        findings.append(Finding("topics", "warning", some(named), do))
    return findings or [Finding("topics", "ok", f"all {len(topics)} are as described")]


async def _of_promoted(settings: Settings, admin: TopicAdmin) -> list[Finding]:
    """Whether the versions that workers of the group are to serve are here, and served."""
    from streamproc.clock import SystemClock
    from streamproc.kafka.model_choices import read_choices
    from streamproc.kafka.topics import load_topics
    from streamproc.repository.repository import Repository
    from streamproc.status.feed import StatusFeed

    try:
        topic = load_topics(settings.topics_dir).models_topic()
        if topic is None or await admin.missing({topic}):
            return []  # told with all topics that are missing, or not described on purpose
        choices = await read_choices(settings, topic)
        if not choices:
            return []
        clock = SystemClock()
        async with StatusFeed(settings, clock) as feed:
            states = [one for one in feed.states() if not one.is_stale(clock.now_ms())]
    except OperatorError as error:
        return [Finding("promoted", "warning", first_line(error), "see the message")]
    repository, findings = Repository.trusting(settings.models_dir, settings.model_key), []
    for name, choice in sorted(choices.items()):
        named = f"{name}@{choice.serves.version}"
        stored, wrong = verified(repository, named)
        if stored is None:
            do = "get the files here, or promote another version"
            said = f"{named} is promoted: {wrong}"
            findings.append(Finding("promoted", "failed", said, do))
            continue
        if stored.digest != choice.serves.manifest:
            said = (
                f"{named} is promoted with the manifest {choice.serves.manifest[:12]}, and the one "
                f"here is {stored.digest[:12]}"
            )
            do = "get the same files here, or promote what is here"
            findings.append(Finding("promoted", "failed", said, do))
    for state in states:
        for one in state.ensembles:
            if one.refused is not None:
                said = f"{state.worker} keeps {one.name}@{one.version}: {one.refused}"
                do = "mend what it names, or `streamproc models rollback`"
                findings.append(Finding("promoted", "warning", said, do))
    said = ", ".join(f"{name}@{one.serves.version}" for name, one in sorted(choices.items()))
    return findings or [Finding("promoted", "ok", f"{said}, digests as written")]


async def _of_experiments(settings: Settings, admin: TopicAdmin) -> list[Finding]:
    """Whether the experiments that run are taken part in, and all of their arms served."""
    from streamproc.kafka.experiments import read_experiments
    from streamproc.kafka.topics import load_topics
    from streamproc.status.participation import participations

    try:
        topics = [one.name for one in load_topics(settings.topics_dir).of_kind("experiments")]
        if not topics or await admin.missing(topics):
            return []  # told with all topics that are missing, or not described on purpose
        found = await read_experiments(settings, topics[0])
        running = [one for one in found.values() if one.is_running]
        if not running:
            return []
        workers = await participations(settings, running)
    except OperatorError as error:
        return [Finding("experiments", "warning", first_line(error), "see the message")]
    do = "mend what it names, or `streamproc experiments stop`"
    findings = [
        Finding("experiments", "warning", f"{one.name}: {sentence}", do)
        for one, told in zip(running, workers, strict=True)
        for sentence in told.sentences()
    ]
    said = ", ".join(one.name for one in running)
    return findings or [Finding("experiments", "ok", f"{said}, all arms served")]
