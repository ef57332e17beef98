"""`streamproc models sign`: vouching for ensembles with a key of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.options import with_settings
from streamproc.cli.terminal import stdout_console
from streamproc.logs.printable import printable
from streamproc.settings import Settings


@with_settings(["models_dir"])
def sign(
    settings: Settings,
    names: Annotated[list[str], typer.Argument(help="names of ensembles, or NAME@VERSION")],
    key: Annotated[
        Path,
        typer.Option(
            help="PEM file with the private key, Ed25519 or ECDSA; a passphrase is asked for"
        ),
    ],
) -> None:
    """Sign ensembles, so that workers with STREAMPROC_MODEL_KEY load them.

    Every file is compared with its digest first. Nothing is loaded: whether models are good is
    yours to know, and `models verify` tries them out.
    """
    from streamproc.repository.repository import Repository
    from streamproc.repository.signing import read_private_key
    from streamproc.repository.signing import sign as sign_ensemble

    private, repository = read_private_key(key, _passphrase), Repository(settings.models_dir)
    for stored in [repository.open(name) for name in names]:
        written = sign_ensemble(stored, private)
        stdout_console().print(f"signed: {printable(str(written))}", soft_wrap=True)


def _passphrase() -> str:
    return str(typer.prompt("passphrase of the key", hide_input=True, err=True))
