"""`streamproc export`: a finished training run becomes an ensemble that a worker serves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.base_model import finding_base
from streamproc.cli.train_progress import showing_progress
from streamproc.errors import OperatorError, TrainingError
from streamproc.offline.training.config import TrainConfig


def export(
    run: Annotated[Path, typer.Argument(help="run folder, such as work/sentiment")],
    out: Annotated[
        Path | None, typer.Option(help="models folder to write to; default: train's --out")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="auto, fp32, fp16, int8, int8-weights; default: train's --precision"),
    ] = None,
) -> None:
    """Export a training run: to ONNX, checked against torch, quantised."""
    try:
        from streamproc.offline.training.plan import plan_from
        from streamproc.offline.training.publishing import export_ensemble
        from streamproc.offline.training.run_folder import RunFolder
    except ModuleNotFoundError as missing:  # torch is an extra
        raise OperatorError(
            f"Exporting needs {missing.name}, which is not installed: install streamproc[train]."
        ) from missing
    folder = RunFolder(run)
    others = {name: value for name, value in (("out", out), ("precision", precision)) if value}
    try:
        config = TrainConfig.read({**folder.read().get("arguments", {}), **others})
    except (TypeError, OperatorError) as error:
        raise TrainingError(f"{run / 'run.toml'}: {error}") from None
    with finding_base() as find:
        plan = plan_from(config, run, find)
    folder.check_data(plan)
    with showing_progress() as on_event, folder.locked():
        export_ensemble(plan, on_event)
