"""The contender that this project is: through Kafka and a worker, or its pipeline alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from benchmarks.harness import Stage
from benchmarks.measure import BenchmarkFailed, Round, timed_here
from benchmarks.processes import cpu_seconds, main_thread_cpu_seconds
from benchmarks.traffic import INTERACTIVE_TOPIC
from benchmarks.worker_counters import Counters
from benchmarks.workload import Workload
from streamproc.messages.record import Record
from streamproc.messages.request import read_request
from streamproc.request_pipeline import Pipeline
from streamproc.types import FloatArray

THROUGH_KAFKA = "streamproc, Kafka"
PIPELINE = "streamproc, no Kafka"


class ThroughKafka:
    """Every request sent as fast as the broker takes it, until the last answer has come back."""

    name = THROUGH_KAFKA

    def __init__(self, workload: Workload, stage: Stage, topic: str = INTERACTIVE_TOPIC) -> None:
        self._workload = workload
        self._stage = stage
        self._topic = topic

    async def round(self) -> Round:
        worker, traffic = self._stage.worker, self._stage.traffic
        texts = self._workload.texts
        exchange = traffic.exchange()
        before, beside_before = await worker.counters(), self._beside()
        worker_s = worker.cpu_seconds()
        await asyncio.gather(
            traffic.send_all(exchange, self._topic, texts), exchange.complete(len(texts))
        )
        worker_after_s, beside_after = worker.cpu_seconds(), self._beside()
        counted = (await worker.counters()).since(before)
        if exchange.refused():
            raise BenchmarkFailed(f"not every request was answered: {exchange.refused()[0]}")
        both = worker_s is not None and worker_after_s is not None
        return Round(
            seconds=max(exchange.answered_s.values()) - min(exchange.sent_s.values()),
            cpu_seconds=worker_after_s - worker_s if both else None,  # type: ignore[operator]
            answers=answers_of(
                [exchange.responses[number]["result"] for number in range(len(texts))],
                self._workload.spec.labels,
            ),
            padding=counted.tokens["padded"] / counted.tokens["content"],
            beside_cpu_seconds={
                name: beside_after[name] - beside_before[name] for name in beside_after
            },
            stage_ms=stage_ms(counted, len(texts)),
        )

    def _beside(self) -> dict[str, float]:
        told = {
            "event loop, within the worker": main_thread_cpu_seconds(self._stage.worker.pid),
            "client": time.process_time(),
            "Kafka": sum(cpu_seconds(pid) or 0.0 for pid in self._stage.broker_pids) or None,
        }
        return {name: seconds for name, seconds in told.items() if seconds is not None}


class InPipeline:
    """All requests at once through the pipeline, each read from JSON as a worker would read it."""

    name = PIPELINE

    def __init__(self, workload: Workload, pipeline: Pipeline) -> None:
        self._workload = workload
        self._pipeline = pipeline
        self._values = [orjson.dumps({"text": text}) for text in workload.texts]

    async def round(self) -> Round:
        return await timed_here(self._answer)

    async def _answer(self) -> FloatArray:
        results = await asyncio.gather(
            *(self._one(number, value) for number, value in enumerate(self._values))
        )
        return answers_of(results, self._workload.spec.labels)

    async def _one(self, number: int, value: bytes) -> Mapping[str, Any]:
        record = Record("benchmark", 0, number, 0, None, value)
        request = read_request(record, self._pipeline.route.max_message_bytes)
        response = await self._pipeline.answer(record, request)
        if response is None or response.status != "ok" or response.result is None:
            raise BenchmarkFailed(f"request {number} was not answered: {response}")
        return response.result


def answers_of(results: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> FloatArray:
    """Probabilities (requests, labels) of the `result`s of responses."""
    return np.array([[result["scores"][label] for label in labels] for result in results])


def stage_ms(counted: Counters, requests: int) -> dict[str, float]:
    """Mean milliseconds of a request in each stage that the worker counts."""
    return {stage: 1000 * seconds / requests for stage, seconds in counted.stage_s.items()}
