"""Descriptions of topics for tests that look at one field of them."""

from __future__ import annotations

from typing import Any

from streamproc.kafka.topics import RequestTopic


def build_topic(**said: Any) -> RequestTopic:
    """A topic of interactive requests for the ensemble `tiny`, unless more is said."""
    described = {
        "name": "asked", "description": "what is tested here", "kind": "requests",
        "task": "text-classification", "retention_ms": 1, "schema_file": "s", "examples": ["e"],
        "ensemble": "tiny", "responses": "r", "dlq": "d",
    }  # fmt: skip
    return RequestTopic.model_validate(described | said)
