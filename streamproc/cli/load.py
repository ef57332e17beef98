"""`streamproc load`: simulated users, and where an objective breaks."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.given import given_command
from streamproc.cli.options import KAFKA, with_settings
from streamproc.errors import SettingsError
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.offline.load.arrivals import Arrivals
    from streamproc.offline.load.mix import Mix
    from streamproc.offline.load.plan import Loop

DURATION_S = 20.0
WARM_UP_S = 3.0
RATE_PER_S = 10.0
STEPS = 12
_DAY_S = 86_400
_FLAGS = [*KAFKA, "group_id", "topics_dir", "max_message_bytes", "log_level", "log_format"]


class ArrivalsName(StrEnum):
    """Processes of arrivals, as they are written."""

    POISSON = "poisson"
    BURSTS = "bursts"
    EVEN = "even"


_Mix = Annotated[
    list[str] | None,
    typer.Option(
        help="TASK[/LANE][=WEIGHT], as text-classification/bulk=2; may be repeated; default: "
        "text-classification"
    ),
]
_Length = Annotated[
    list[str] | None,
    typer.Option(
        help="CHARACTERS[=WEIGHT] of texts, as 400=3; may be repeated; default: as they are"
    ),
]
_Until = Annotated[
    list[str] | None,
    typer.Option(
        help="objective, as p99<=200ms or errors<=1%; may be repeated; the load rises until one "
        "breaks"
    ),
]
_Trace = Annotated[
    Path | None,
    typer.Option(
        help="replay this: rows with seconds, and maybe characters, task, lane; --rate makes it "
        "faster or slower"
    ),
]


@with_settings(_FLAGS)
def load(
    context: typer.Context,
    settings: Settings,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=1_000_000,
            help="requests a second, at first; default: 10, or a trace's (open loop)",
        ),
    ] = None,
    users: Annotated[int | None, typer.Option(min=1, help="users, at first (closed loop)")] = None,
    think_s: Annotated[
        float,
        typer.Option(min=0, max=_DAY_S, help="mean seconds that a user thinks between requests"),
    ] = 1.0,
    arrivals: Annotated[
        ArrivalsName, typer.Option(help="when requests come in open loop")
    ] = ArrivalsName.POISSON,
    burst_size: Annotated[int, typer.Option(min=1, help="requests of a burst")] = 10,
    trace: _Trace = None,
    mix: _Mix = None,
    length: _Length = None,
    texts: Annotated[
        Path | None, typer.Option(help="texts to ask about, a line or row each; default: a sample")
    ] = None,
    ensemble: Annotated[
        str | None, typer.Option(help="ensemble that requests name; default: the topic's")
    ] = None,
    http: Annotated[
        str | None, typer.Option(help="ask the gateway at this address instead of Kafka")
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="file with the gateway's key, if it wants one")
    ] = None,
    duration_s: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=7 * _DAY_S, help="seconds of a step; default: 20, or a whole trace"
        ),
    ] = None,
    warm_up_s: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=_DAY_S,
            help="seconds before each step that are not counted; default: 3, or 0",
        ),
    ] = None,
    until: _Until = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="steps at most; default: 12 with --until, else 1")
    ] = None,
    step_factor: Annotated[
        float, typer.Option(min=1.01, max=100, help="by which a step is more than the one before")
    ] = 1.5,
    refine: Annotated[
        int, typer.Option(min=0, help="steps between the last that kept and the first that broke")
    ] = 3,
    timeout_s: Annotated[
        float, typer.Option(min=0.1, max=_DAY_S, help="seconds after which an answer is an error")
    ] = 30.0,
    max_in_flight: Annotated[
        int, typer.Option(min=1, help="requests on their way at a time")
    ] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="of arrivals, texts and thinking")] = 0,
    json: Annotated[Path | None, typer.Option(help="file to write all figures to")] = None,
    html: Annotated[Path | None, typer.Option(help="file to write one page with plots to")] = None,
    plots: Annotated[Path | None, typer.Option(help="folder to write load.png to")] = None,
) -> None:
    """Send simulated users' requests, and find the load at which an objective breaks.

    Latency is counted from when a request was to be sent. Exit code 1: no step kept all objectives,
    or without --until some requests got no answer, or none was due.
    """
    from streamproc.cli.load_output import LoadFiles, exit_code, show_load, show_step
    from streamproc.cli.terminal import stderr_console, stdout_console
    from streamproc.logs import configure_logging

    configure_logging(settings)
    files = LoadFiles(json, html, plots)
    files.require_libraries()
    files.require_places()

    from streamproc.cli.load_runner import Reached, run_load
    from streamproc.offline.load.loops import StepTimes
    from streamproc.offline.load.objectives import parse_objective
    from streamproc.offline.load.plan import LoadPlan
    from streamproc.offline.load.stepping import Stepping

    loop, level = _loop(rate, users, think_s, arrivals, burst_size, trace)
    plan = LoadPlan(
        loop=loop,
        mix=_drawn(mix, length, texts, ensemble),
        times=StepTimes(
            warm_up_s=warm_up_s if warm_up_s is not None else 0.0 if trace else WARM_UP_S,
            duration_s=duration_s or (math.inf if trace else DURATION_S),
            timeout_s=timeout_s,
            drain_s=2 * timeout_s,
            max_in_flight=max_in_flight,
        ),
        stepping=Stepping(
            level, step_factor, steps or (STEPS if until else 1), refine, whole=users is not None
        ),
        objectives=[parse_objective(one) for one in until or ()],
        seed=seed,
    )
    reached = Reached(settings, http, api_key_file, timeout_s)
    report = run_load(plan, reached, given_command(context), show_step(plan, stderr_console()))
    show_load(report, stdout_console())
    files.write(report)
    raise typer.Exit(exit_code(report))


def _loop(
    rate: float | None,
    users: int | None,
    think_s: float,
    arrivals: ArrivalsName,
    burst_size: int,
    trace: Path | None,
) -> tuple[Loop, float]:
    """How requests are sent, and the first level; raises SettingsError."""
    from streamproc.offline.load.arrivals import Bursts, Even, Poisson
    from streamproc.offline.load.plan import ClosedLoop, OpenLoop
    from streamproc.offline.load.trace import read_trace

    if users is not None:
        if rate is not None or trace is not None:
            raise SettingsError(
                "--users is closed loop; --rate and --trace are open loop: give one"
            )
        return ClosedLoop(think_s), float(users)
    if trace is not None:
        recorded = read_trace(trace)
        return OpenLoop(recorded), rate or recorded.rate_per_s
    made: dict[ArrivalsName, Arrivals] = {
        ArrivalsName.POISSON: Poisson(),
        ArrivalsName.BURSTS: Bursts(burst_size),
        ArrivalsName.EVEN: Even(),
    }
    return OpenLoop(made[arrivals]), rate or RATE_PER_S


def _drawn(
    mix: list[str] | None, length: list[str] | None, texts: Path | None, ensemble: str | None
) -> Mix:
    """What is asked; raises SettingsError and DataFileError."""
    from streamproc.cli.demo.texts import address, reviews
    from streamproc.offline.load.mix import Mix, Text, parse_lengths, parse_mix
    from streamproc.offline.load.texts import read_texts

    if texts is not None:
        found = read_texts(texts)
    else:
        paragraphs = (one.strip() for one in address().split("\n\n"))
        sample = [*(row["text"] for row in reviews()), *paragraphs]
        found = [Text(one) for one in sample if one]
    kinds = parse_mix(mix or ["text-classification"])
    return Mix(kinds, found, parse_lengths(length) if length else None, ensemble)
