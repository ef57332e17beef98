"""What a worker tells about itself, as the benchmarks read it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from benchmarks.latencies import Latencies, latencies_of
from benchmarks.measure import BenchmarkFailed
from benchmarks.processes import cpu_seconds
from benchmarks.traffic import Exchange
from benchmarks.worker import health_address
from benchmarks.worker_counters import read_counters
from streamproc.metrics import Metrics


def test_counters_of_a_worker_are_read_by_stage_and_kind() -> None:
    metrics = Metrics()
    metrics.stage_seconds.labels("decode").inc(0.25)
    metrics.tokens.labels("tiny", "content").inc(80)
    metrics.tokens.labels("tiny", "padded").inc(100)
    metrics.batches.labels("tiny").inc(3)
    before = read_counters(generate_latest(metrics.registry).decode())
    metrics.stage_seconds.labels("decode").inc(0.5)
    metrics.stage_seconds.labels("publish").inc(2)
    metrics.tokens.labels("tiny", "padded").inc(1)
    after = read_counters(generate_latest(metrics.registry).decode())
    assert before.stage_s == {"decode": 0.25}
    assert before.tokens == {"content": 80, "padded": 100}
    assert before.batches == 3
    assert after.since(before).stage_s == {"decode": 0.5, "publish": 2}
    assert after.since(before).tokens == {"content": 0, "padded": 1}


def test_a_worker_s_address_is_found_in_its_log_once_it_listens(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('a warning\n{"event": "loaded"}\n')
    assert health_address(log) is None
    started = '{"event": "worker started", "health": "http://127.0.0.1:81/v2/health/ready"}\n'
    log.write_text(log.read_text() + started)
    assert health_address(log) == "http://127.0.0.1:81"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_cpu_time_of_a_process_grows_as_it_works() -> None:
    before = cpu_seconds(os.getpid())
    begun_s = time.process_time()
    while time.process_time() - begun_s < 0.05:
        pass
    after = cpu_seconds(os.getpid())
    assert before is not None
    assert after is not None
    assert after > before


def test_a_process_that_is_gone_has_no_cpu_time() -> None:
    assert cpu_seconds(2**30) is None


async def test_answers_that_stop_coming_are_told_with_their_number() -> None:
    exchange = Exchange("x")
    exchange.take(0, {"id": "x-0", "status": "ok"}, 1.0)
    with pytest.raises(BenchmarkFailed, match="1 of 2 requests"):
        await exchange.complete(2, stall_s=0.01)


async def test_an_answer_that_comes_twice_counts_once_and_by_its_first_time() -> None:
    exchange = Exchange("x")
    exchange.take(0, {"id": "x-0", "status": "ok"}, 1.0)
    exchange.take(0, {"id": "x-0", "status": "ok"}, 9.0)
    await exchange.complete(1)
    assert exchange.repeated == 1
    assert exchange.answered_s == {0: 1.0}


def test_latency_counts_from_when_a_request_was_due() -> None:
    exchange = Exchange("x")
    exchange.sent_s = {0: 3.0}
    exchange.take(0, {"id": "x-0", "status": "ok"}, 3.5)
    assert latencies_of(exchange, [1.0]).p50_ms == pytest.approx(2500)


def test_percentiles_are_of_all_latencies() -> None:
    figures = Latencies.of([float(value) for value in range(1, 102)])
    assert (figures.p50_ms, figures.p90_ms, figures.p99_ms) == (51, 91, 100)
    assert (figures.requests, figures.max_ms) == (101, 101)
