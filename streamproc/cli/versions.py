"""`streamproc models use` and `models remove`: which version of a member an ensemble runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from streamproc.cli.options import with_settings
from streamproc.cli.progress import activity
from streamproc.cli.terminal import stdout_console
from streamproc.errors import SettingsError
from streamproc.settings import Settings, read_settings

FLAGS = ("models_dir", "log_level", "log_format")
Ensemble = Annotated[str, typer.Argument(help="name of the ensemble")]


@with_settings(FLAGS)
def use(
    settings: Settings,
    ensemble: Ensemble,
    member: Annotated[str, typer.Argument(help="name of the member")],
    version: Annotated[str, typer.Argument(help="a version that `models show` lists")],
) -> None:
    """Put another version of a member in use: an earlier one, or one imported since.

    The ensemble is loaded and verified with it first. Then the manifest is replaced at once;
    workers that start after that use it.
    """
    from streamproc.logs import configure_logging
    from streamproc.repository.changes import use_version
    from streamproc.repository.repository import Repository

    configure_logging(settings)
    stored = Repository(settings.models_dir).open(ensemble)
    before = use_version(stored, member, version, verify_on_cpu)
    console = stdout_console()
    named = Text.assemble(f"{ensemble} uses ", (f"{member} {version}", "bold"))
    console.print(Text.assemble(named, f", instead of {before.version}"))
    back = f"streamproc models use {ensemble} {member} {before.version}"
    console.print(f"to go back: {back} --models-dir {settings.models_dir}", soft_wrap=True)


@with_settings(FLAGS)
def copy(
    settings: Settings,
    ensemble: Annotated[str, typer.Argument(help="the ensemble, or a version of it, to copy")],
    version: Annotated[
        str, typer.Argument(metavar="NAME@VERSION", help="the version to make of it")
    ],
) -> None:
    """Make a new version of an ensemble, which begins as a copy, to be changed and then promoted.

    Files are linked where the disk allows it, so that a version takes no more room than its own.
    """
    from streamproc.repository.changes import copy_ensemble
    from streamproc.repository.repository import Repository

    stored = Repository(settings.models_dir).open(ensemble)
    folder = copy_ensemble(stored, version)
    console = stdout_console()
    console.print(f"written: {folder}", soft_wrap=True)
    told = f"to have workers serve it: streamproc models promote {version}"
    console.print(f"{told} --models-dir {settings.models_dir}", soft_wrap=True)


@with_settings(FLAGS)
def remove(
    settings: Settings,
    ensemble: Ensemble,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[MEMBER[/VERSION]]", help="a member, or one of its versions; default: all"
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask for confirmation")] = False,
) -> None:
    """Remove an ensemble, a member, or a version of a member that is not in use, with its files.

    Running workers keep what they have loaded.
    """
    from streamproc.logs import configure_logging
    from streamproc.repository.changes import remove_ensemble, remove_member, remove_version
    from streamproc.repository.repository import Repository

    configure_logging(settings)
    stored = Repository(settings.models_dir).open(ensemble)
    member, slash, version = (what or "").partition("/")
    if slash and not (member and version):
        raise SettingsError(f"{what!r}: expected MEMBER or MEMBER/VERSION")
    named = f"{member} {version}".strip() if what else f"the ensemble {ensemble}"
    _confirm(f"Remove {named} from {stored.folder}, with all its files?", asked=not yes)
    if version:
        remove_version(stored, member, version)
    elif member:
        remove_member(stored, member, verify_on_cpu)
    else:
        remove_ensemble(stored)
    stdout_console().print(f"removed: {named}")


def verify_on_cpu(models: Path, ensemble: str) -> None:
    """Load an ensemble on a CPU, where members must be batch-invariant."""
    from streamproc.worker import verify_ensemble

    with activity(f"verifying {ensemble}"):
        verify_ensemble(read_settings(models_dir=str(models), device="cpu"), ensemble)


def _confirm(question: str, *, asked: bool) -> None:
    if not asked:
        return
    try:
        typer.confirm(question, abort=True, err=True)
    except typer.Abort:
        raise SettingsError("nothing was removed; --yes removes without asking") from None
