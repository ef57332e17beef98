from __future__ import annotations

from streamproc.kafka.metadata_backoff import WAIT_S, wait_after_failed_updates


class Client:
    """Learns of its topics from the third attempt on, and of the second topic at the fourth."""

    def __init__(self) -> None:
        self.attempts = 0

    async def _metadata_update(self, cluster: dict[str, set[int]], topics: list[str]) -> bool:
        self.attempts += 1
        if self.attempts >= 3:
            cluster["a"] = {0}
        if self.attempts >= 4:
            cluster["b"] = {0}
        return self.attempts >= 3


class Cluster(dict[str, set[int]]):
    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self.get(topic)


async def test_a_client_waits_after_each_attempt_that_left_a_topic_unknown_and_after_no_other() -> (
    None
):
    client, cluster, waited = Client(), Cluster(), list[float]()

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    wait_after_failed_updates(client, sleep)
    topics = ["a", "b"]

    updates = [await client._metadata_update(cluster, topics) for _ in range(5)]

    assert updates == [False, False, True, True, True]
    assert waited == [WAIT_S] * 3
