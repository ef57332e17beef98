"""A worker's states through a real Kafka: stored, ended by a tombstone, and in nobody's way."""

from __future__ import annotations

from uuid import uuid4

from structlog.testing import capture_logs

from streamproc.clock import SystemClock
from streamproc.kafka.state_publisher import StatePublisher
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topic_reader import read_topic
from streamproc.kafka.topics import StateTopic, load_topics
from streamproc.settings import Settings


async def state_topic(settings: Settings, *, made: bool = True) -> str:
    """A topic of the test's own, as the shipped one is described."""
    (described,) = (
        topic
        for topic in load_topics(settings.topics_dir).topics.values()
        if isinstance(topic, StateTopic)
    )
    topic = described.model_copy(update={"name": f"states-{uuid4().hex[:8]}"})
    if made:
        async with TopicAdmin(settings) as admin:
            await admin.create_missing([topic])
            assert await admin.drift([topic]) == []
    return topic.name


async def test_states_are_stored_under_the_workers_id_and_a_stop_leaves_a_tombstone(
    kafka: str,
) -> None:
    settings = Settings(kafka_bootstrap_servers=kafka)
    topic = await state_topic(settings)
    publisher = StatePublisher(settings, topic, "worker-1", SystemClock())
    assert await publisher.publish(b"one")
    assert await publisher.publish(b"two")
    await publisher.close()
    stored = [(record.key, record.value) async for record in read_topic(settings, topic)]
    assert stored == [(b"worker-1", b"one"), (b"worker-1", b"two"), (b"worker-1", None)]


async def test_without_the_topic_one_warning_says_what_to_do_and_nothing_is_raised(
    kafka: str,
) -> None:
    settings = Settings(kafka_bootstrap_servers=kafka)
    topic = await state_topic(settings, made=False)
    clock = _Fast()
    publisher = StatePublisher(settings, topic, "worker-1", clock)
    with capture_logs() as logs:
        for _ in range(3):
            assert not await publisher.publish(b"lost")
            clock.ahead_s += 60
        await publisher.close()
    (warned,) = [line for line in logs if line["log_level"] == "warning"]
    assert topic in warned["reason"]
    assert "streamproc topics apply" in warned["reason"]
    async with TopicAdmin(settings) as admin:
        assert await admin.missing({topic}) == {topic}


async def test_a_topic_that_is_made_later_is_found(kafka: str) -> None:
    settings = Settings(kafka_bootstrap_servers=kafka)
    topic = await state_topic(settings, made=False)
    clock = _Fast()
    publisher = StatePublisher(settings, topic, "worker-1", clock)
    assert not await publisher.publish(b"lost")
    shipped = load_topics(settings.topics_dir).topics["streamproc.state.v1"]
    async with TopicAdmin(settings) as admin:
        await admin.create_missing([shipped.model_copy(update={"name": topic})])
    clock.ahead_s += 60
    assert await publisher.publish(b"kept")
    await publisher.close()
    assert [r.value async for r in read_topic(settings, topic)] == [b"kept", None]


async def test_without_a_broker_a_state_is_given_up_on() -> None:
    settings = Settings(kafka_bootstrap_servers="127.0.0.1:1")
    publisher = StatePublisher(settings, "states", "worker-1", SystemClock())
    with capture_logs() as logs:
        assert not await publisher.publish(b"lost")
        assert not await publisher.publish(b"lost")
        await publisher.close()
    (warned,) = [line for line in logs if line["log_level"] == "warning"]
    assert "127.0.0.1:1" in warned["reason"]


class _Fast(SystemClock):
    """The machine's clock, put ahead."""

    ahead_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s
