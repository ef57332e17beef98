"""`streamproc train`: a corpus becomes an ensemble, one member a part, while a table shows it."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from streamproc.cli.base_model import finding_base
from streamproc.cli.train_options import with_train_config
from streamproc.cli.train_progress import showing_progress
from streamproc.errors import OperatorError
from streamproc.offline.training.config import TrainConfig


@with_train_config
def train(
    config: TrainConfig,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="members trained at once; default: processor cores / --threads"),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="start over instead of resuming an earlier run")
    ] = False,
    export: Annotated[
        bool, typer.Option("--export/--no-export", help="write the ensemble when all is trained")
    ] = True,
) -> None:
    """Train one model per part of a corpus, and write them as an ensemble that a worker serves.

    To resume a run that was stopped, run the same command again.
    """
    try:
        from streamproc.offline.training.devices import process, processes
        from streamproc.offline.training.ensemble import train_ensemble, train_here
        from streamproc.offline.training.jobs import Jobs
        from streamproc.offline.training.plan import plan_from
    except ModuleNotFoundError as missing:  # torch is an extra
        raise OperatorError(
            f"Training needs {missing.name}, which is not installed: install streamproc[train]."
        ) from missing

    with finding_base() as find:
        plan = plan_from(config, find=find)
    at_once = jobs or max(1, (os.cpu_count() or 1) // config.threads)
    # torchrun has started several processes already, which train each member together.
    train_all = train_here if processes() > 1 else Jobs(at_once)
    # As Ctrl-C does: the processes of members are ended before this one is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with showing_progress(quiet=process() != 0) as on_event:
        train_ensemble(plan, on_event, train_all=train_all, fresh=fresh, export=export)
