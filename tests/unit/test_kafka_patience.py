from __future__ import annotations

from streamproc.kafka.patience import WAIT_S, wait_after_failed_updates


class Client:
    """Fails to learn of its topics until a broker answers, which it does at the third attempt."""

    def __init__(self) -> None:
        self.attempts: list[tuple[object, ...]] = []

    async def _metadata_update(self, *arguments: object) -> bool:
        self.attempts.append(arguments)
        return len(self.attempts) == 3


async def test_a_client_waits_after_each_attempt_that_failed_and_after_no_other() -> None:
    client, waited = Client(), list[float]()

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    wait_after_failed_updates(client, sleep)

    assert [await client._metadata_update("cluster", number) for number in range(3)] == [
        False,
        False,
        True,
    ]
    assert client.attempts == [("cluster", 0), ("cluster", 1), ("cluster", 2)]
    assert waited == [WAIT_S, WAIT_S]
