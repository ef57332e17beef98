"""The application: every command registered, every error that is somebody's to mend in a line."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from streamproc import __version__
from streamproc.cli import corpus, dlq, models, topics
from streamproc.cli.broker import broker
from streamproc.cli.demo import demo
from streamproc.cli.evaluate import evaluate
from streamproc.cli.fit_ensemble import fit_ensemble
from streamproc.cli.run import run
from streamproc.cli.submit import submit
from streamproc.cli.train import train
from streamproc.cli.worker import worker
from streamproc.errors import OperatorError, WorkerFault

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="NLP on Kafka event streams: chunked, batched, ensembled ONNX inference.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass


for command in (demo, broker, worker, submit, run, train, fit_ensemble, evaluate):
    app.command()(command)
app.add_typer(topics.app, name="topics")
app.add_typer(dlq.app, name="dlq")
app.add_typer(models.app, name="models")
app.add_typer(corpus.app, name="corpus")


def main() -> None:
    """Exit codes: 0 done; 1 some requests or checks failed, or Kafka gave out; 2 mend something."""
    try:
        app()
    except OperatorError as error:
        _say(error)
        sys.exit(2)
    except WorkerFault as error:
        _say(error)
        sys.exit(1)


def _say(error: Exception) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        "[bold red]error:[/]", str(error).replace("[", r"\["), style=None
    )
