"""`streamproc models`: what is in the model repository, and whether it is intact."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from streamproc.cli.importing import import_model
from streamproc.cli.lazy import command_group
from streamproc.cli.options import KAFKA, MODELS, with_settings
from streamproc.cli.promotion import pin, promote, rollback
from streamproc.cli.signing import sign
from streamproc.cli.split import split
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import print_json, stdout_console
from streamproc.cli.versions import copy, remove, use
from streamproc.errors import ModelRefused
from streamproc.logs.printable import printable
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.repository.repository import StoredEnsemble

app = command_group("List, verify, import and change ensembles in the models folder.")
app.command()(split)
app.command("import")(import_model)
app.command()(use)
app.command()(copy)
app.command()(promote)
app.command()(rollback)
app.command()(pin)
app.command()(remove)
app.command()(sign)
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Names = Annotated[
    list[str] | None, typer.Argument(help="names of ensembles, or NAME@VERSION; default: all")
]


@app.command("list")
@with_settings([*KAFKA, "group_id", "models_dir", "topics_dir", "routes_dir", "max_message_bytes"])
def list_models(
    settings: Settings,
    json: Json = False,
    versions: Annotated[
        bool, typer.Option("--versions", help="ask Kafka which versions workers serve")
    ] = False,
) -> None:
    """List the ensembles in the models folder; with --versions which version of each serves."""
    from streamproc.repository.repository import Repository

    if versions:
        from streamproc.cli.version_list import list_versions

        asyncio.run(list_versions(settings, json=json))
        return
    repository = Repository(settings.models_dir)
    stored = [repository.open(name) for name in repository.names()]
    if json:
        print_json(
            [
                {
                    "name": s.manifest.name,
                    "task": s.manifest.task,
                    "versions": repository.versions(s.manifest.name),
                    "members": _versions(s),
                }
                for s in stored
            ]
        )
        return
    rows = [
        (
            one.manifest.name,
            ", ".join(repository.versions(one.manifest.name)),
            one.manifest.task,
            ", ".join(f"{member.name} {member.version}" for member in one.manifest.members),
            ", ".join(one.manifest.labels),
            one.manifest.combine.strategy,
            one.digest[:12],
        )
        for one in stored
    ]
    headings = ("ensemble", "versions", "task", "members", "labels", "strategy", "manifest")
    print_table(stdout_console(), headings, rows, names=(0, 1, 2, 3, 6))


@app.command()
@with_settings(["models_dir"])
def show(settings: Settings, name: str, json: Json = False) -> None:
    """Show one ensemble's manifest, and all versions of its members."""
    from streamproc.repository.repository import Repository
    from streamproc.repository.versions import version_names

    stored = Repository(settings.models_dir).open(name)
    if json:
        described = {"digest": stored.digest, "versions": _versions(stored)}
        print_json({**stored.manifest.model_dump(mode="json"), **described})
        return
    manifest, console = stored.manifest, stdout_console()
    about = f" · {printable(manifest.task)} · {printable(manifest.description)}"
    console.print(Text.assemble((manifest.name, "bold"), about))
    labels = f"labels {', '.join(map(printable, manifest.labels))} · " if manifest.labels else ""
    if manifest.problem_type != "single_label_classification":
        labels = f"{manifest.problem_type} · {labels}"
    console.print(f"{labels}digest {stored.digest}")
    console.print(
        f"windows of {manifest.window.max_tokens} tokens, overlapping by "
        f"{manifest.window.overlap_tokens} · strategy {manifest.combine.strategy} · "
        f"quorum {manifest.needed_members} of {len(manifest.members)} members"
    )
    if manifest.prefix:
        console.print(
            f"shared backbone: {manifest.prefix.precision}, "
            f"{_mib(manifest.prefix.size_bytes)} MiB, {manifest.prefix.sha256[:12]}"
        )
    rows = [
        (
            member.name,
            member.version,
            ", ".join(version for version in there if version != member.version),
            member.precision,
            _mib(member.stored_bytes),
            f"{member.weight:g}",
            f"in {len(member.stages)} stages" if member.stages else "",
        )
        for member in manifest.members
        if (there := version_names(stored, member.name))
    ]
    headings = ("member", "version", "other versions", "precision", "MiB", "weight", "")
    print_table(console, headings, rows, names=(0, 1, 2, 3), numbers=(4, 5))
    for member in manifest.members:
        console.print(Text(member.name, "bold"))
        for fact, value in {**member.metrics, **member.provenance}.items():
            console.print(f"  {printable(fact)}: {printable(str(value))}")
    console.print(printable(manifest.license))


@app.command()
@with_settings([*MODELS, "model_key"])
def verify(settings: Settings, names: Names = None) -> None:
    """Check digests, load and warm up every member; exit with 1 when one is refused.

    With --model-key, what nobody who is trusted has signed is refused too, and not loaded.
    """
    from streamproc.logs import configure_logging
    from streamproc.repository.repository import Repository
    from streamproc.repository.signatures import TrustedKeys
    from streamproc.worker import verify_ensemble

    configure_logging(settings)
    trusted = TrustedKeys.read(settings.model_key)
    repository, console = Repository(settings.models_dir), stdout_console()
    refused = 0
    for name in names or repository.all_versions():
        try:
            provider = verify_ensemble(settings, name, trusted)
        except ModelRefused as reason:
            refused += 1
            console.print(Text.assemble(("refused", "red"), f" {name}: {printable(str(reason))}"))
        else:
            signed = "" if trusted is None else ", signed,"
            served = f" {name}{signed} on {provider.device} ({provider.name})"
            console.print(Text.assemble(("good", "green"), served))
    if refused:
        raise typer.Exit(1)


def _versions(stored: StoredEnsemble) -> dict[str, dict[str, object]]:
    """By member the version in use, and all versions."""
    from streamproc.repository.versions import version_names

    return {
        member.name: {"in_use": member.version, "versions": version_names(stored, member.name)}
        for member in stored.manifest.members
    }


def _mib(size_bytes: int | None) -> str:
    return f"{size_bytes / 2**20:.1f}" if size_bytes else "?"
