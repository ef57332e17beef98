"""A file answered by a client, shown as it goes: what `run` and `submit` share."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext

import typer

from streamproc.cli.answer_progress import progress_shown
from streamproc.cli.interruption import Interrupted, interruptible
from streamproc.cli.terminal import TerminalConsole
from streamproc.clock import SystemClock
from streamproc.offline.bulk.job import BulkJob, JsonClient
from streamproc.offline.bulk.progress import told_duration


def answer_file(
    opening_job: AbstractContextManager[BulkJob],
    opening_client: AbstractAsyncContextManager[JsonClient],
    outstanding: int,
    console: TerminalConsole,
    *,
    outstanding_bytes: int | None = None,
    ensemble: str | None = None,
) -> None:
    """Open a job, run it with a client (`BulkJob.run`), and say what became of its rows.

    console: what the job tells goes there too, so that it stands above the bar
    Raises OperatorError; typer.Exit with 1 where some rows have errors, with 130 or 143 after a
    signal.
    """
    clock = SystemClock()
    job: BulkJob | None = None
    took_s = 0.0

    async def run(job: BulkJob) -> None:
        nonlocal took_s
        with interruptible():
            async with opening_client as client:
                began_s = clock.monotonic_s()
                # A bar would be drawn over answers that are shown on the same terminal.
                showing = progress_shown(job.progress, clock, console)
                try:
                    async with nullcontext() if job.output.on_terminal else showing:
                        await job.run(
                            client,
                            outstanding,
                            outstanding_bytes=outstanding_bytes,
                            ensemble=ensemble,
                        )
                except BaseException:
                    if job.began:
                        console.print(job.output.kept(job.counts.answered))
                    raise
                took_s = clock.monotonic_s() - began_s

    try:
        with opening_job as job:
            asyncio.run(run(job))
    except (Interrupted, KeyboardInterrupt) as stopped:
        if job is None or not job.began:
            console.print("stopped before any request was sent")
        code = stopped.exit_code if isinstance(stopped, Interrupted) else 130
        raise typer.Exit(code) from None
    speeds = job.progress().speeds(took_s)
    in_all = [f"in {told_duration(took_s)}: {', '.join(speeds)}"] if speeds else []
    for line in (*job.counts.lines(), *in_all, *job.output.written()):
        console.print(line)
    if job.counts.errors:
        raise typer.Exit(1)
