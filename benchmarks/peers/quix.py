"""Quix Streams: one message at a time through a dataframe of the request topic."""

from __future__ import annotations

from typing import Any

from quixstreams import Application

from benchmarks.peers.scorer import Asked, Scorer


def main() -> None:
    """Answer until the process is ended."""
    asked = Asked.by_environment()
    scorer = Scorer.of(asked)
    app = Application(
        broker_address=asked.servers,
        consumer_group="peer-quix",
        auto_offset_reset="earliest",
        auto_create_topics=False,
    )

    def answered(request: dict[str, Any]) -> dict[str, Any]:
        return scorer.answer([request])[0]

    stream = app.dataframe(app.topic(asked.requests, value_deserializer="json"))
    responses = app.topic(asked.responses, value_serializer="json")
    stream.apply(answered).to_topic(responses)
    app.run()


if __name__ == "__main__":
    main()
