"""What the demo runs on: an embedded Kafka, a worker, and a client for every task it serves."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from streamproc.cli.demo.exchange import Body, Exchange
from streamproc.cli.demo.worker import PATIENCE_S, WorkerProcess
from streamproc.cli.progress import fetching
from streamproc.clock import Clock, SystemClock
from streamproc.enrichment.catalogue import RouteTopic, route_topics
from streamproc.enrichment.route import Route, load_route
from streamproc.errors import OperatorError
from streamproc.kafka.client import RequestClient
from streamproc.kafka.embedded import KAFKA_VERSION, EmbeddedBroker
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topics import RequestTopic, load_topics
from streamproc.messages.lane import Lane
from streamproc.repository.manifest import Manifest
from streamproc.repository.repository import Repository
from streamproc.settings import Settings, read_settings
from streamproc.worker import served_tasks

ROUTES = Path("examples") / "routes"
"""Where the shipped route lies, beside the topics."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kafka with a worker that serves some tasks.

    topics:    of the served tasks' requests, interactive
    manifests: of the ensembles that answer them
    route:     the shipped one, served too; None where one of its ensembles is not there
    asked:     all that was asked so far, in the order it was
    """

    settings: Settings
    clock: Clock
    worker: WorkerProcess
    topics: Mapping[str, RequestTopic]
    manifests: Mapping[str, Manifest]
    clients: Mapping[str, RequestClient]
    route: Route | None
    asked: list[Exchange] = field(default_factory=list)

    async def ask(self, task: str, bodies: Iterable[Body]) -> list[Exchange]:
        """Requests sent at once; returns when all are answered, in their order.

        Raises OperatorError when one can't be, or the worker ends.
        """
        answering = asyncio.gather(*(self.exchange(task, body) for body in bodies))
        exchanges = await self.worker.watch(answering)
        self.asked.extend(exchanges)
        return exchanges

    async def exchange(self, task: str, body: Body) -> Exchange:
        """A request and its answer, whatever becomes of the worker meanwhile."""
        sent_s = self.clock.monotonic_s()
        response = await self.clients[task].ask(body)
        if response["status"] == "error":
            fault = response["error"]
            raise OperatorError(f"{task}: {fault['title']}: {fault['detail']}")
        return Exchange(task, body, response, self.clock.monotonic_s() - sent_s)


@asynccontextmanager
async def running_cluster(console: Console) -> AsyncIterator[Cluster]:
    """Everything started, ready, and said so; stopped afterwards, and nothing left on disk.

    Raises OperatorError when there is nothing to show, or something does not start.
    """
    settings = read_settings(group_id="streamproc-demo")
    catalogue, repository = load_topics(settings.topics_dir), Repository(settings.models_dir)
    topics = {
        task: catalogue.request_topic(task, Lane.INTERACTIVE)
        for task in settings.tasks or served_tasks(catalogue, repository)
    }
    manifests = {task: repository.open(topic.ensemble).manifest for task, topic in topics.items()}
    route = _shipped_route(settings, repository)
    with _kafka(console, settings) as kafka:
        folder = settings.topics_dir / ROUTES if route is not None else None
        changed = {"kafka_bootstrap_servers": kafka.bootstrap_servers, "routes_dir": folder}
        settings = settings.model_copy(update=changed)
        async with TopicAdmin(settings) as admin:
            created = await admin.create_missing(catalogue.topics.values())
            if route is not None:
                # What it reads is there already, where somebody's own events are.
                source = RouteTopic(route.from_.topics[0], 1, route.retention_ms)
                await admin.create_missing([source, *route_topics([route])])
        console.print(f"[green]✓[/] {len(created)} topics created from topics/*.yaml")
        async with _worker(console, settings) as worker:
            models = sum(len(manifest.members) for manifest in manifests.values())
            console.print(
                f"[green]✓[/] a worker is ready; tasks: {len(topics)}, models: {models}\n"
            )
            async with _clients(settings, topics) as clients:
                yield Cluster(settings, SystemClock(), worker, topics, manifests, clients, route)


def _shipped_route(settings: Settings, repository: Repository) -> Route | None:
    file = settings.topics_dir / ROUTES / "shop-reviews.yaml"
    if not file.is_file():
        return None
    route = load_route(file)
    asked = {answer.ensemble for answer in route.answers}
    return route if asked <= set(repository.names()) else None


@contextmanager
def _kafka(console: Console, settings: Settings) -> Iterator[EmbeddedBroker]:
    with fetching(f"Kafka {KAFKA_VERSION}", console) as report:
        broker = EmbeddedBroker(cache_dir=settings.cache_dir, progress=report)
        broker.start()
    try:
        console.print(f"[green]✓[/] Apache Kafka answers on {broker.bootstrap_servers}")
        yield broker
    finally:
        broker.stop()


@asynccontextmanager
async def _worker(console: Console, settings: Settings) -> AsyncIterator[WorkerProcess]:
    with tempfile.TemporaryDirectory(prefix="streamproc-demo-") as folder:
        worker = WorkerProcess(settings, Path(folder) / "worker.log")
        try:
            worker.start()
            with console.status("a worker starts …"):
                await worker.ready()
            yield worker
        finally:
            worker.stop()


@asynccontextmanager
async def _clients(
    settings: Settings, tasks: Iterable[str]
) -> AsyncIterator[dict[str, RequestClient]]:
    async with AsyncExitStack() as opened:
        yield {
            task: await opened.enter_async_context(
                RequestClient.of_task(settings, task, answer_timeout_s=PATIENCE_S)
            )
            for task in tasks
        }
