"""`streamproc export`: a finished training run becomes an ensemble that a worker serves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.train_progress import shown
from streamproc.errors import OperatorError, SettingsError, TrainingError


def export(
    run: Annotated[Path, typer.Argument(help="a run folder, such as work/sentiment")],
    out: Annotated[
        Path | None, typer.Option(help="model repository to write to; default: train's --out")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="auto, fp32, fp16, int8, int8-weights; default: train's --precision"),
    ] = None,
) -> None:
    """Export what `streamproc train` has trained: ONNX, checked against torch, quantised."""
    try:
        from streamproc.offline.training.arguments import Arguments
        from streamproc.offline.training.publishing import export_ensemble
        from streamproc.offline.training.run_folder import RunFolder
    except ModuleNotFoundError as missing:  # torch is an extra
        raise OperatorError(
            f"Exporting needs {missing.name}, which is not installed: install streamproc[train]."
        ) from missing
    folder = RunFolder(run)
    written = folder.read()
    try:
        arguments = Arguments.read(written.get("arguments", {}))
        plan = arguments.plan(run=run, out=out, precision=precision)
    except (AttributeError, KeyError, TypeError, ValueError, SettingsError) as error:
        raise TrainingError(f"{run}, as its run.toml describes it: {error}") from None
    folder.check_data(plan)
    with shown() as tell, folder.held():
        export_ensemble(plan, tell)
