"""`streamproc models split`: a model too large for memory, cut into stages by its layers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from streamproc.cli.options import with_settings
from streamproc.errors import ModelRefused
from streamproc.inference.providers import choose_provider
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.sameness import largest_difference
from streamproc.settings import MIB, Settings
from streamproc.toml import section

if TYPE_CHECKING:
    from streamproc.splitting.ensemble import SplitMember

# How far scores may be from the whole's, the difference between two kernels at most.
LARGEST_DIFFERENCE = 1e-5

What = Annotated[str, typer.Argument(metavar="ENSEMBLE|FILE.onnx", help="an ensemble, or a model")]
Stages = Annotated[int, typer.Option("--stages", min=2, help="into how many stages to cut")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="models folder for the new ensemble, the old one's by default; of a FILE the folder "
        "for its stages",
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--as", help="its name; by default the old one's, with -staged in the same folder"
    ),
]
Chosen = Annotated[
    list[str] | None,
    typer.Option("--member", help="a member to cut, several times; all by default"),
]
Check = Annotated[
    bool, typer.Option("--check/--no-check", help="compare with the whole, which takes its memory")
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
    """Cut models into stages, which run one after another and need not be loaded all at once.

    The ensemble that it was made from stays as it is. Exits with 1 when the new one does not say
    what the old one says.
    """
    try:
        from streamproc.splitting.ensemble import split_ensemble  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as missing:
        if missing.name != "onnx":
            raise
        raise ModelRefused(
            "cutting models needs the package onnx: install it, or streamproc[train]"
        ) from None
    console = Console()
    if what.endswith(".onnx"):
        _split_file(Path(what), stages, out, console)
        return
    stored = Repository(settings.models_dir).open(what)
    root = out or settings.models_dir
    same = root.resolve() == settings.models_dir.resolve()
    called = name or (f"{what}-staged" if same else what)
    table = Table("member", "stage", "MiB loaded", "hands on")
    folder = split_ensemble(
        stored, stages, root, called, member or (), lambda cut: _add_rows(table, cut)
    )
    console.print(table)
    console.print(f"{folder}: ensemble {called}", highlight=False, soft_wrap=True)
    if check:
        _compare(settings, stored, Repository(root).open(called), console)


def _compare(
    settings: Settings, whole: StoredEnsemble, cut: StoredEnsemble, console: Console
) -> None:
    apart = largest_difference(whole, cut, choose_provider(settings.device))
    worst = max(apart, key=lambda name: apart[name])
    said = f"scores differ from the whole's by {apart[worst]:.2g} at most"
    if apart[worst] > LARGEST_DIFFERENCE:
        console.print(f"[red]not equal[/]: {said} (member {worst}), allowed {LARGEST_DIFFERENCE:g}")
        raise typer.Exit(1)
    console.print(f"[green]equal[/]: {said}")


def _split_file(path: Path, stages: int, out: Path | None, console: Console) -> None:
    from streamproc.splitting.ensemble import SplitMember  # noqa: PLC0415  # an extra
    from streamproc.splitting.model import split_model  # noqa: PLC0415

    if out is None:
        raise ModelRefused(f"name the folder for the stages of {path} by --out")
    if not path.is_file():
        raise ModelRefused(f"{path} is no file")
    if out.exists():
        raise ModelRefused(f"{out} is there already; name another folder by --out")
    try:
        written = split_model(path, stages, out)
    except ModelRefused:
        shutil.rmtree(out, ignore_errors=True)
        raise
    table = Table("member", "stage", "MiB loaded", "hands on")
    _add_rows(table, SplitMember(path.stem, tuple(written)))
    Console(stderr=True).print(table)
    for stage in written:
        said = stage.section(out).model_dump(mode="json")
        print(section("[[members.stages]]", said))  # noqa: T201  # for a manifest, not for a screen


def _add_rows(table: Table, cut: SplitMember) -> None:
    for number, stage in enumerate(cut.stages, 1):
        size = f"{stage.resident_bytes / MIB:.1f}"
        table.add_row(cut.name, str(number), size, ", ".join(stage.handed_on))
