"""States of workers, and a picture of a group, as tests and pictures of the page need them."""

from __future__ import annotations

import asyncio
from typing import Any

from streamproc.kafka.lag import TopicLag
from streamproc.messages.worker_state import (
    DisagreementState,
    EnsembleState,
    LaneState,
    MachineState,
    MemberState,
    RouteState,
    WorkerState,
)
from streamproc.status.history import LENGTH_S, STEP_S, history_key
from streamproc.status.overview import Overview, overview
from streamproc.status.watched import Watched

NOW_MS = 1_800_000_000_000
TASK, ROUTE = "text-classification", "shop-reviews"


DISAGREEMENTS = [
    DisagreementState(
        at_ms=NOW_MS - 40_000 * n,
        request_id=request_id,
        position=f"nlp.text-classification.requests.v1:{n}:{88_213 - n}",
        agreement=0.667,
        together=together,
        members={"books": "positive", "films": "negative", "kitchen": kitchen},
    )
    for n, (request_id, together, kitchen) in enumerate(
        [("order-2291", "negative", "negative"), ("order-2240", "positive", "positive")]
    )
]


def worker_state(worker: str = "shop-1", **changes: Any) -> WorkerState:
    """A worker of one task and one route that is doing well."""
    members = [
        MemberState(name=name, version="1", agreement=0.91, ms_per_1000_tokens=41.0)
        for name in ("books", "films", "kitchen")
    ]
    made: dict[str, Any] = {
        "worker": worker,
        "group": "streamproc",
        "version": "0.1.0",
        "host": "shop",
        "at_ms": NOW_MS,
        "started_ms": NOW_MS - 3_600_000,
        "interval_s": 2.0,
        "ready": True,
        "lanes": [
            LaneState(
                task=TASK,
                lane="interactive",
                topics=["requests"],
                per_s=40.0,
                p50_ms=12.0,
                p99_ms=80.0,
            )
        ],
        "routes": [RouteState(name=ROUTE, topics=["reviews"], per_s=10.0, p50_ms=20.0)],
        "ensembles": [
            EnsembleState(
                name="sentiment",
                task=TASK,
                manifest="5f1d",
                tokens_per_s=2900.0,
                batch_fill=0.6,
                padding=1.04,
                members=members,
                disagreements=DISAGREEMENTS,
            )
        ],
        "machine": MachineState(device="cpu", threads=2, cpu=0.4, resident_bytes=400 << 20),
        "in_flight_bytes": {"interactive": 2048, "bulk": 0},
        "max_in_flight_bytes": 64 << 20,
    }
    return WorkerState(**(made | changes))


SOURCES = [
    Watched(TASK, "interactive", None, ("requests",)),
    Watched(TASK, "bulk", None, ("bulk",)),
    Watched("", "interactive", ROUTE, ("reviews",)),
]


def picture(*states: WorkerState, lags: dict[str, TopicLag] | None = None) -> Overview:
    """Of these workers."""
    there = dict.fromkeys(("requests", "bulk", "reviews"), TopicLag(exists=True))
    return overview("streamproc", states, SOURCES, there | (lags or {}), NOW_MS)


class ShownStatus:
    """What a page shows, without a Kafka: one picture, with a quarter of an hour of rates."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    def picture(self) -> dict[str, object]:
        steps = range(LENGTH_S // STEP_S)
        rates = {
            history_key(row.name, row.lane): [row.per_s * (0.6 + (n * 7 % 11) / 25) for n in steps]
            for row in self._overview.sources
        }
        return self._overview.as_json() | {"rates": rates, "rate_step_s": STEP_S}

    async def next_turn(self, within_s: float) -> bool:
        await asyncio.sleep(within_s)
        return True
