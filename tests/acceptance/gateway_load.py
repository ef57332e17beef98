"""Many callers at two gateways before two workers, while a gateway and a worker are killed.

`python -m tests.acceptance.gateway_load --callers 200 --seconds 120`
counts answers that went to the wrong caller, and requests that got neither an answer nor an error;
and before that, with nobody else there, what a gateway adds to a round trip through Kafka. Small
models answer at once, so that nearly all of the time is the way there and back.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Annotated, Any

import aiohttp
import psutil
import typer

from streamproc.kafka.client import RequestClient
from streamproc.settings import Settings
from tests.support.cluster import cluster, group
from tests.support.gateway_process import GatewayProcess
from tests.support.report import say, tell
from tests.support.small_ensembles import write_small_ensembles
from tests.support.worker_process import WorkerProcess

TASK = "text-classification"
ANSWER_WITHIN_S = 120
"""A caller that has heard nothing for so long counts as one that is not answered."""
ASK_AGAIN_S = 0.2
WARM_UP = 20
STARTS_WITHIN_S = 300
"""On a machine that has much else to do."""


@dataclass(slots=True)
class Found:
    """What callers saw.

    outcomes: answers and errors, by HTTP status or by what became of the connection
    wrong:    answers to another request than the caller's own
    lost:     requests that neither got an answer nor an error
    seconds:  of requests that were answered
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    lost: int = 0
    seconds: list[float] = field(default_factory=list)


async def load(
    bootstrap_servers: str, folder: Path, callers: int, seconds: float, pairs: int
) -> dict[str, Any]:
    """Both measurements, on a Kafka that has the topics."""
    models = folder / "models"
    write_small_ensembles(models, (TASK,))
    settings = {"MODELS_DIR": str(models), "THREADS": "1"}
    async with AsyncExitStack() as ending:
        running = await ending.enter_async_context(
            group(
                bootstrap_servers,
                "load",
                folder,
                workers=2,
                settings=settings,
                ready_within_s=STARTS_WITHIN_S,
            )
        )
        gateways = [
            GatewayProcess(bootstrap_servers, folder / f"gateway-{number}.log", settings)
            for number in range(2)
        ]
        for gateway in gateways:
            ending.callback(gateway.stop)
            gateway.start()
        for gateway in gateways:
            await asyncio.to_thread(gateway.wait_until_ready, STARTS_WITHIN_S)
        say("two gateways and two workers are ready")
        added = await added_by_a_gateway(bootstrap_servers, models, gateways[0], pairs)
        say(f"added by a gateway: {added}")
        found = await under_load(gateways, running.workers, callers, seconds)
    return {
        "callers": callers,
        "seconds": seconds,
        "outcomes": dict(sorted(found.outcomes.items())),
        "wrong": found.wrong,
        "lost": found.lost,
        "answered_ms": percentiles(found.seconds),
        **added,
    }


async def added_by_a_gateway(
    bootstrap_servers: str, models: Path, gateway: GatewayProcess, pairs: int
) -> dict[str, Any]:
    """Round trips through Kafka alone and through a gateway, in turns, one at a time.

    The processor's time, of the gateway and of this process while it asks Kafka itself, says what
    a gateway adds where others keep the machine busy.
    """
    process, cpu_s = psutil.Process(gateway.pid), 0.0
    settings = Settings(kafka_bootstrap_servers=bootstrap_servers, models_dir=models)
    body = {"text": "a lovely film"}
    over_kafka, over_http, at_first = [], [], 0.0
    async with (
        RequestClient.of_task(settings, TASK) as client,
        aiohttp.ClientSession(gateway.address) as http,
    ):
        for number in range(WARM_UP + pairs):
            if number == WARM_UP:
                at_first = _cpu_s(process)
            began, own_s = time.perf_counter(), time.process_time()
            await client.ask(body)
            between, own_s = time.perf_counter(), time.process_time() - own_s
            async with http.post(f"/v1/{TASK}", json=body) as answer:
                assert answer.status == 200
                await answer.read()
            ended = time.perf_counter()
            # The first ones wait for metadata and connections.
            if number >= WARM_UP:
                cpu_s += own_s
                over_kafka.append(between - began)
                over_http.append(ended - between)
    kafka_ms, http_ms = percentiles(over_kafka), percentiles(over_http)
    return {
        "kafka_ms": kafka_ms,
        "gateway_ms": http_ms,
        "added_at_p50_ms": round(http_ms["p50"] - kafka_ms["p50"], 2),
        "kafka_client_cpu_ms": round(cpu_s / pairs * 1000, 2),
        "gateway_cpu_ms": round((_cpu_s(process) - at_first) / pairs * 1000, 2),
    }


async def under_load(
    gateways: Sequence[GatewayProcess],
    workers: Sequence[WorkerProcess],
    callers: int,
    seconds: float,
) -> Found:
    """Callers that ask one request after the other, while processes are killed."""
    found, ends_at = Found(), time.monotonic() + seconds
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        calling = [
            asyncio.create_task(call(http, gateways, number, ends_at, found))
            for number in range(callers)
        ]
        await asyncio.sleep(seconds / 4)
        say(f"killing gateway {gateways[0].pid}")
        gateways[0].kill()
        gateways[0].start()
        await asyncio.sleep(seconds / 4)
        say(f"killing worker {workers[0].pid}")
        workers[0].kill()
        workers[0].start()
        await asyncio.gather(*calling)
    return found


async def call(
    http: aiohttp.ClientSession,
    gateways: Sequence[GatewayProcess],
    caller: int,
    ends_at: float,
    found: Found,
) -> None:
    """One caller: its requests are like nobody else's, and so must its answers be."""
    number = 0
    while time.monotonic() < ends_at:
        number += 1
        asked = {"caller": caller, "number": number}
        body = {"id": f"{caller}-{number}", "text": f"film {caller} {number}", "metadata": asked}
        began = time.perf_counter()
        try:
            address = gateways[(caller + number) % len(gateways)].address
            async with http.post(f"{address}/v1/{TASK}", json=body) as answer:
                said = await answer.json(content_type=None)
                outcome = str(answer.status)
        except LookupError:
            # It has just been started again, and does not listen yet: no request was sent.
            await asyncio.sleep(ASK_AGAIN_S)
            continue
        except TimeoutError:
            found.lost += 1
            continue
        except (aiohttp.ClientError, OSError) as error:
            found.outcomes[f"connection: {type(error).__name__}"] += 1
            await asyncio.sleep(ASK_AGAIN_S)
            continue
        found.outcomes[outcome] += 1
        if outcome == "200":
            found.seconds.append(time.perf_counter() - began)
            found.wrong += said["metadata"] != asked or said["id"] != body["id"]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    cuts = quantiles(seconds, n=100)
    return {"p50": round(cuts[49] * 1000, 2), "p99": round(cuts[98] * 1000, 2)}


async def _main(callers: int, seconds: float, pairs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="streamproc-gateway-") as folder:
        async with cluster() as kafka:
            figures = await load(kafka.bootstrap_servers, Path(folder), callers, seconds, pairs)
    tell("gateways under load", figures, good=not figures["wrong"] and not figures["lost"])


def main(
    callers: Annotated[int, typer.Option(min=1)] = 200,
    seconds: Annotated[float, typer.Option(min=4)] = 120,
    pairs: Annotated[int, typer.Option(min=10, help="round trips of each kind")] = 300,
) -> None:
    """Exit code 0 when no answer went to the wrong caller and none was lost without an error."""
    asyncio.run(_main(callers, seconds, pairs))


if __name__ == "__main__":
    typer.run(main)
