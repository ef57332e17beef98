"""Dead letters of tasks and routes: where they lie, what they hold, and sending originals again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from streamproc.clock import Clock
from streamproc.did_you_mean import there_are
from streamproc.enrichment.catalogue import load_routes
from streamproc.enrichment.dead_letters import original_event
from streamproc.enrichment.route import Route
from streamproc.errors import OperatorError
from streamproc.kafka.dead_letters import DeadLetter, Selection, replay
from streamproc.kafka.producer import Producer
from streamproc.kafka.topics import TopicCatalogue, load_topics
from streamproc.messages.record import ProducerRecord
from streamproc.settings import Settings

REDRIVEN_BY: Final = "streamproc-redriven-by"
REDRIVEN_AT: Final = "streamproc-redriven-at"


@dataclass(frozen=True, slots=True)
class LetterPlace:
    """A topic of dead letters.

    name: `task:` or `route:` and the name of that
    original: what goes out of a letter again
    limits: how large that may be, by topic
    """

    name: str
    topic: str
    original: Callable[[DeadLetter], ProducerRecord]
    limits: Mapping[str, int]


def task_place(settings: Settings, task: str) -> LetterPlace:
    """The dead letters of a task; raises TopicsError when it has no topics."""
    return _of_task(settings, load_topics(settings.topics_dir), task)


def route_place(settings: Settings, name: str) -> LetterPlace:
    """The dead letters of a route; raises OperatorError when there is none of that name."""
    routes = {one.name: one for one in load_routes(settings)}
    if name not in routes:
        raise OperatorError(f"no route {name!r}; {there_are(name, sorted(routes))} (--routes-dir)")
    return _of_route(routes[name])


def letter_places(settings: Settings) -> dict[str, LetterPlace]:
    """Every topic of dead letters, by the name of its place: tasks first."""
    catalogue = load_topics(settings.topics_dir)
    tasks = sorted({topic.task for topic in catalogue.requests()})
    places = [_of_task(settings, catalogue, task) for task in tasks]
    places += [_of_route(route) for route in load_routes(settings)]
    return {place.name: place for place in places}


async def redriven(
    settings: Settings, clock: Clock, place: LetterPlace, selection: Selection, *, by: str | None
) -> AsyncGenerator[DeadLetter, None]:
    """Send originals again, and give each letter out once its original is stored.

    by: who wants it, as the headers of each original say from then on; None: a preview, nothing
        is sent
    """
    producer = None
    if by is not None:
        producer = Producer(settings, clock, limits=place.limits)
        await producer.start()
    try:
        letters = replay(
            settings,
            place.topic,
            selection,
            original=partial(_marked, place, by or "", clock.now_ms()),
            producer=producer,
        )
        async with aclosing(letters):
            async for letter in letters:
                yield letter
    finally:
        if producer is not None:
            await producer.stop()


def _marked(place: LetterPlace, by: str, at_ms: int, letter: DeadLetter) -> ProducerRecord:
    """The original, whose headers say who sent it again and when."""
    original = place.original(letter)
    kept = tuple(one for one in original.headers if one[0] not in (REDRIVEN_BY, REDRIVEN_AT))
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
    marks = ((REDRIVEN_BY, by.encode()), (REDRIVEN_AT, at.encode()))
    return replace(original, headers=(*kept, *marks))


def _of_task(settings: Settings, catalogue: TopicCatalogue, task: str) -> LetterPlace:
    names = {described.name for described in catalogue.requests()}
    original = partial(DeadLetter.original, request_topics=names)
    topic = catalogue.requests(task)[0].dlq
    return LetterPlace(f"task:{task}", topic, original, catalogue.limits(settings))


def _of_route(route: Route) -> LetterPlace:
    original = partial(original_event, topics=route.from_.topics)
    return LetterPlace(f"route:{route.name}", route.dlq, original, {})
