"""`streamproc models`: what is in the model repository, and whether it is intact."""

from __future__ import annotations

import sys
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streamproc.bootstrap import verify_ensemble
from streamproc.cli.importing import import_model
from streamproc.cli.options import MODELS, with_settings
from streamproc.cli.split import split
from streamproc.errors import ModelRefused
from streamproc.logs import configure_logging
from streamproc.repository.repository import Repository
from streamproc.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Ensembles in the model repository.")
app.command()(split)
app.command("import")(import_model)
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Names = Annotated[list[str] | None, typer.Argument(help="ensembles; all when none is named")]


@app.command("list")
@with_settings(["models_dir"])
def list_models(settings: Settings, json: Json = False) -> None:
    """List the ensembles there are."""
    repository = Repository(settings.models_dir)
    stored = [repository.open(name) for name in repository.names()]
    if json:
        _print_json([{"name": s.manifest.name, "task": s.manifest.task} for s in stored])
        return
    table = Table("ensemble", "task", "members", "labels", "combined by", "manifest")
    for ensemble in stored:
        manifest = ensemble.manifest
        table.add_row(
            manifest.name,
            manifest.task,
            str(len(manifest.members)),
            ", ".join(manifest.labels),
            manifest.combine.strategy,
            ensemble.digest[:12],
        )
    Console().print(table)


@app.command()
@with_settings(["models_dir"])
def show(settings: Settings, name: str, json: Json = False) -> None:
    """Show one ensemble's manifest."""
    stored = Repository(settings.models_dir).open(name)
    if json:
        _print_json({**stored.manifest.model_dump(mode="json"), "digest": stored.digest})
        return
    manifest, console = stored.manifest, Console()
    console.print(f"[bold]{manifest.name}[/] · {manifest.task} · {manifest.description}")
    labels = f"labels {', '.join(manifest.labels)} · " if manifest.labels else ""
    console.print(f"{labels}digest {stored.digest}")
    console.print(
        f"windows of {manifest.window.max_tokens} tokens, {manifest.window.overlap_tokens} of "
        f"them shared · combined by {manifest.combine.strategy} · "
        f"{manifest.needed_members} of {len(manifest.members)} members needed"
    )
    if manifest.prefix:
        console.print(
            f"behind layers that run once for all members: {manifest.prefix.precision}, "
            f"{_mib(manifest.prefix.size_bytes)} MiB, {manifest.prefix.sha256[:12]}"
        )
    table = Table("member", "version", "precision", "MiB", "weight", "")
    for member in manifest.members:
        size = _mib(member.stored_bytes)
        staged = f"in {len(member.stages)} stages" if member.stages else ""
        weight = f"{member.weight:g}"
        table.add_row(member.name, member.version, member.precision, size, weight, staged)
    console.print(table)
    for member in manifest.members:
        said = {**member.metrics, **member.provenance}
        console.print(f"[bold]{member.name}[/]")
        for fact, value in said.items():
            console.print(f"  {fact}: {value}", highlight=False)
    console.print(manifest.licence)


@app.command()
@with_settings(MODELS)
def verify(settings: Settings, names: Names = None) -> None:
    """Check digests, load every member and try it out; exit with 1 when one is refused."""
    configure_logging(settings)
    repository, console = Repository(settings.models_dir), Console()
    refused = 0
    for name in names or repository.names():
        try:
            provider = verify_ensemble(settings, name)
        except ModelRefused as reason:
            refused += 1
            console.print(f"[red]refused[/] {name}: {reason}")
        else:
            console.print(f"[green]good[/] {name} on {provider.device} ({provider.name})")
    if refused:
        raise typer.Exit(1)


def _mib(size_bytes: int | None) -> str:
    return f"{size_bytes / 2**20:.1f}" if size_bytes else "?"


def _print_json(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
