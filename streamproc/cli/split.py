"""`streamproc models split`: a model too large for memory, cut into stages by its layers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from streamproc.cli.options import with_settings
from streamproc.cli.progress import activity
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import TerminalConsole, stderr_console, stdout_console
from streamproc.errors import ModelRefused
from streamproc.settings import Settings
from streamproc.settings.sizes import MIB

if TYPE_CHECKING:
    from streamproc.offline.splitting.ensemble_splitter import SplitMember
    from streamproc.repository.repository import StoredEnsemble

# How far scores may be from the whole's, the difference between two kernels at most.
LARGEST_DIFFERENCE = 1e-5

What = Annotated[
    str,
    typer.Argument(
        metavar="ENSEMBLE|FILE.onnx", help="what to split: an ensemble, or an ONNX file"
    ),
]
Stages = Annotated[int, typer.Option("--stages", min=2, help="number of stages")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="models folder for the new ensemble, default: the old one's; for a FILE the folder of "
        "its stages",
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="name of the new ensemble; default: the old name, with -staged in the same folder",
    ),
]
Chosen = Annotated[
    list[str] | None,
    typer.Option("--member", help="a member to split; may be repeated; default: all"),
]
Check = Annotated[
    bool,
    typer.Option("--check/--no-check", help="compare with the whole model, which takes its memory"),
]


@with_settings(["models_dir", "device"])
def split(
    settings: Settings,
    what: What,
    stages: Stages,
    out: Out = None,
    name: Name = None,
    member: Chosen = None,
    check: Check = True,
) -> None:
    """Split models into stages, which run one after another and need not all be in memory.

    The original ensemble stays as it is. Exits with 1 when the scores of the new one differ.
    """
    try:
        from streamproc.offline.splitting.ensemble_splitter import split_ensemble
    except ModuleNotFoundError as missing:
        if missing.name not in {"onnx", "onnx_ir"}:
            raise
        raise ModelRefused(
            f"splitting models needs {missing.name}, which is not installed: install "
            "streamproc[import]"
        ) from None
    from streamproc.repository.repository import Repository

    console = stdout_console()
    if what.endswith(".onnx"):
        if name is not None or member:
            raise ModelRefused(
                f"--as and --member are of ensembles, and {what} is a file: leave them out, and "
                "name the folder for its stages by --out"
            )
        _split_file(Path(what), stages, out)
        return
    stored = Repository(settings.models_dir).open(what)
    root = out or settings.models_dir
    same = os.path.realpath(root) == os.path.realpath(settings.models_dir)
    called = name or (f"{what}-staged" if same else what)
    done: list[SplitMember] = []
    with activity(f"cutting {what} into {stages} stages") as say:

        def tell(cut: SplitMember) -> None:
            done.append(cut)
            say(f"member {cut.name} is cut")

        folder = split_ensemble(stored, stages, root, called, member or (), tell)
    _print_stages(console, done)
    console.print(f"{folder}: ensemble {called}", soft_wrap=True)
    if check:
        _compare(settings, stored, Repository(root).open(called), console)


def _compare(
    settings: Settings, whole: StoredEnsemble, cut: StoredEnsemble, console: TerminalConsole
) -> None:
    from streamproc.serving.inference.providers import choose_provider
    from streamproc.serving.verification.comparison import largest_difference

    with activity("comparing the stages with the whole"):
        apart = largest_difference(whole, cut, choose_provider(settings.device))
    worst = max(apart, key=lambda name: apart[name])
    said = f"scores differ from the whole's by {apart[worst]:.2g} at most"
    if apart[worst] > LARGEST_DIFFERENCE:
        where = f": {said} (member {worst}), allowed {LARGEST_DIFFERENCE:g}"
        console.print(Text.assemble(("not equal", "red"), where))
        raise typer.Exit(1)
    console.print(Text.assemble(("equal", "green"), f": {said}"))


def _split_file(path: Path, stages: int, out: Path | None) -> None:
    from streamproc.offline.splitting.ensemble_splitter import SplitMember
    from streamproc.offline.splitting.model_splitter import split_model
    from streamproc.repository.files import atomic_directory
    from streamproc.repository.toml import to_toml

    if out is None:
        raise ModelRefused(f"name the folder for the stages of {path} by --out")
    if not path.is_file():
        raise ModelRefused(f"{path} is not a file")
    if out.exists():
        raise ModelRefused(f"{out} is there already; name another folder by --out")
    with activity(f"cutting {path} into {stages} stages"), atomic_directory(out) as unfinished:
        written = split_model(path, stages, unfinished)
        # For the member's table in a manifest, not for a screen.
        sections = [stage.section(unfinished).model_dump(mode="json") for stage in written]
    _print_stages(stderr_console(), [SplitMember(path.stem, tuple(written))])
    sys.stdout.write(to_toml({"members": [{"stages": sections}]}).removeprefix("[[members]]\n"))


def _print_stages(console: TerminalConsole, members: Sequence[SplitMember]) -> None:
    rows = [
        (
            cut.name,
            str(number),
            f"{stage.resident_bytes / MIB:.1f}",
            ", ".join(stage.boundary_tensors),
        )
        for cut in members
        for number, stage in enumerate(cut.stages, 1)
    ]
    print_table(console, ("member", "stage", "MiB loaded", "hands on"), rows, numbers=(1, 2))
