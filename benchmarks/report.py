"""The figures of a run: a table for people, JSON for machines."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.answers import difference
from benchmarks.in_process import CEILING
from benchmarks.measure import Round, median_cpu_s_per_1000, shares
from benchmarks.workload import Workload
from streamproc.clock import Clock

RESULTS = Path(__file__).with_name("results")
_HEADINGS = ("req/s", "share", "by CPU", "padding", "s/1k", "labels", "off by")
_STAGES = {
    "decode": "decode",
    "queue": "queue: waiting for a batch",
    "batch": "batch: until all members have run it",
    "publish": "publish: until the broker has stored the response",
}


def machine(clock: Clock) -> dict[str, Any]:
    """What the figures were measured on, and when."""
    return {
        "at": datetime.fromtimestamp(clock.now_ms() / 1000, UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def described(workload: Workload) -> dict[str, Any]:
    """How much there is to do, and how lengths are spread."""
    lengths = [sum(map(len, own)) for own in workload.chunks]
    quantiles = np.quantile(lengths, (0.1, 0.5, 0.9, 0.99))
    return {
        "requests": len(workload.texts),
        "chunks": sum(map(len, workload.chunks)),
        "tokens": workload.tokens,
        "tokens_of_a_request": dict(zip(("p10", "p50", "p90", "p99"), quantiles, strict=True)),
        "ensemble": workload.spec.name,
        "manifest": workload.spec.digest,
        "members": len(workload.members.sessions),
        "tokenize_ms": 1000 * workload.tokenize_s / len(workload.texts),
    }


def summary(done: Mapping[str, Sequence[Round]]) -> dict[str, dict[str, Any]]:
    """Of each contender, medians over rounds; shares are of the ceiling of the same round."""
    ceiling = done[CEILING]
    reference = ceiling[0].answers
    return {
        name: {
            "requests_per_s": median(each.requests_per_s for each in rounds),
            "share_of_ceiling": median(shares(rounds, ceiling)),
            "share_of_ceiling_range": [f(shares(rounds, ceiling)) for f in (min, max)],
            "share_of_ceiling_by_cpu": _share_by_cpu(rounds, ceiling),
            "padding": rounds[-1].padding,
            "cpu_s_per_1000": median_cpu_s_per_1000(rounds),
            "labels_that_differ": max(
                difference(each.answers, reference).labels for each in rounds
            ),
            "largest_probability_difference": max(
                difference(each.answers, reference).probability for each in rounds
            ),
            "rounds_s": [each.seconds for each in rounds],
            "beside_cpu_s_per_1000": {
                process: median(
                    1000 * each.beside_cpu_seconds[process] / len(each.answers) for each in rounds
                )
                for process in rounds[0].beside_cpu_seconds
            },
            "stage_ms": {
                stage: median(each.stage_ms[stage] for each in rounds)
                for stage in rounds[0].stage_ms
            },
        }
        for name, rounds in done.items()
    }


def print_throughput(console: Console, contenders: Mapping[str, Mapping[str, Any]]) -> None:
    """A row a contender, the fastest first."""
    table = Table(
        title="Medians over rounds; benchmarks/README.md says what each row is",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        show_edge=False,
    )
    table.add_column("", no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    by_speed = sorted(contenders.items(), key=lambda item: -item[1]["requests_per_s"])
    for name, figures in by_speed:
        table.add_row(
            name,
            f"{figures['requests_per_s']:,.1f}",
            f"{figures['share_of_ceiling']:.2f}",
            _number(figures["share_of_ceiling_by_cpu"], ".2f"),
            _number(figures["padding"], ".2f"),
            _number(figures["cpu_s_per_1000"], ".2f"),
            f"{figures['labels_that_differ']}",
            f"{figures['largest_probability_difference']:.0e}",
        )
    console.print(table)


def print_stages(
    console: Console, stages: Mapping[str, float], beside: Mapping[str, float], tokenize_ms: float
) -> None:
    """How long a request spends where, on average, when all come at once."""
    table = Table(
        title="Where a request spends its time when all are sent at once", box=SIMPLE_HEAD
    )
    table.add_column("")
    table.add_column("mean ms", justify="right")
    table.add_row("tokenizing, measured alone", f"{tokenize_ms:.2f}")
    for stage, milliseconds in stages.items():
        table.add_row(_STAGES.get(stage, stage), f"{milliseconds:,.2f}")
    console.print(table)
    for process, seconds in beside.items():
        console.print(f"CPU s per 1,000 requests, {process}: {seconds:.2f}", highlight=False)


def write_json(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures, and make the folder for them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n"
    )


def _share_by_cpu(rounds: Sequence[Round], ceiling: Sequence[Round]) -> float | None:
    """The ceiling's CPU time to that of the process that answers."""
    mine, top = median_cpu_s_per_1000(rounds), median_cpu_s_per_1000(ceiling)
    return None if mine is None or top is None else top / mine


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
