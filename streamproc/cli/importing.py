"""`streamproc models import`: a model that was made elsewhere becomes a member of an ensemble."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from streamproc.cli.progress import activity
from streamproc.cli.terminal import print_json, stdout_console
from streamproc.cli.versions import verify_on_cpu
from streamproc.errors import OperatorError, SettingsError
from streamproc.settings import read_settings

if TYPE_CHECKING:
    from streamproc.offline.importing.imports import Imported


def import_model(
    source: Annotated[
        Path,
        typer.Argument(
            help="an .onnx file; a Hugging Face folder; a folder that optimum exported; a .keras "
            "file or a SavedModel"
        ),
    ],
    ensemble: Annotated[str, typer.Option(help="to join if it is there, to be made if not")],
    task: Annotated[
        str | None, typer.Option(help="default: the ensemble's, or as config.json says")
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="tokenizer.json; default: the ensemble's, or the one in SOURCE"),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="the label of each output, in order; or SPELLING=NAME of config.json's; '' or "
            "SPELLING= for one to leave out"
        ),
    ] = None,
    member: Annotated[str | None, typer.Option(help="its name; default: the file's")] = None,
    version: Annotated[
        str, typer.Option(help="the member's version; another lies beside those there are")
    ] = "1",
    use: Annotated[
        bool,
        typer.Option(
            "--use/--no-use", help="whether it takes the place of the member's version in use"
        ),
    ] = True,
    out: Annotated[Path, typer.Option(help="model repository to write to")] = Path("models"),
    model_input: Annotated[
        list[str] | None,
        typer.Option("--input", help="e.g. input_ids=keras_tensor: the model's name for an input"),
    ] = None,
    model_output: Annotated[
        list[str] | None,
        typer.Option("--output", help="e.g. logits=dense_2: the model's name for an output"),
    ] = None,
    scores: Annotated[
        Literal["logits", "probabilities"] | None,
        typer.Option(help="what the outputs are; default: as the graph's last node tells"),
    ] = None,
    padded_to: Annotated[
        int | None,
        typer.Option(min=1, help="tokens: what all texts were padded to as it was trained"),
    ] = None,
    pad_token: Annotated[
        str | None, typer.Option(help="a token, or its id; default: the tokenizer's, or 0")
    ] = None,
    pad_side: Annotated[
        Literal["right", "left"], typer.Option(help="where padding stands, with --padded-to")
    ] = "right",
    window: Annotated[
        int | None,
        typer.Option(min=8, help="of a new ensemble: longest text at once, in tokens"),
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(min=0, help="of a new ensemble: tokens that windows share")
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(help="of a new ensemble: what its translators want before every sentence"),
    ] = None,
    source_language: Annotated[
        str | None,
        typer.Option(help="of a new ensemble of many languages: its tokenizer's code, as eng_Latn"),
    ] = None,
    target_language: Annotated[
        str | None, typer.Option(help="what it translates to, unless a request says otherwise")
    ] = None,
    description: Annotated[str, typer.Option(help="of a new ensemble")] = "",
    license: Annotated[str, typer.Option(help="of the model; default: its model card's")] = "",
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Bring a model into an ensemble: adapt it, try it out as a worker does, write it.

    What the model does not tell is asked for at a terminal; elsewhere an error names the flag.
    """
    try:
        from streamproc.offline.importing import imports
        from streamproc.offline.importing.import_options import ImportOptions
    except ModuleNotFoundError as missing:
        raise OperatorError(
            f"Importing needs {missing.name}, which is not installed: install streamproc[import]."
        ) from missing
    wishes = ImportOptions(
        source,
        ensemble,
        out,
        task=task,
        tokenizer=tokenizer,
        labels=label or (),
        member=member,
        version=version,
        use=use,
        inputs=model_input or (),
        outputs=model_output or (),
        scores=scores,
        padded_to=padded_to,
        pad_token=pad_token,
        pad_side=pad_side,
        window=window,
        overlap=overlap,
        prefix=prefix,
        source_language=source_language,
        target_language=target_language,
        description=description,
        license=license,
    )
    from streamproc.logs import configure_logging

    configure_logging(read_settings())
    asked = _Terminal() if sys.stdin.isatty() else _Nobody()
    imported = imports.import_model(
        wishes, asked, export=_export, verify=verify_on_cpu, make_tokenizer=_tokenizer_of
    )
    if json:
        said = {**asdict(imported), "manifest": str(imported.manifest)}
        print_json(said)
    else:
        _show(imported)


class _Terminal:
    """A person, who is asked."""

    def ask(self, question: str, flag: str) -> str:
        return str(typer.prompt(f"{question} [{flag}]\n", prompt_suffix="> ", err=True))


class _Nobody:
    """Standard input is no terminal."""

    def ask(self, question: str, flag: str) -> str:
        raise SettingsError(f"{question} Say {flag}.")


def _tokenizer_of(folder: Path) -> bytes:
    try:
        from streamproc.offline.training.fast_tokenizer import fast_tokenizer
    except ModuleNotFoundError as missing:
        raise OperatorError(
            f"{folder} has no tokenizer.json; one is made with {missing.name}, which is not "
            "installed (streamproc[train])"
        ) from missing
    return fast_tokenizer(folder)


def _export(source: Path, task: str, target: Path) -> None:
    try:
        from streamproc.offline.training.hugging_face import export_folder
    except ModuleNotFoundError as missing:
        raise OperatorError(
            f"A Hugging Face folder is exported with {missing.name}, which is not installed: "
            "install streamproc[train], or export it elsewhere (optimum-cli export onnx) and "
            "import what that wrote."
        ) from missing
    with activity(f"exporting {source}"):
        export_folder(source, task, target)


def _show(imported: Imported) -> None:
    console = stdout_console()
    if not imported.used:
        done = f"lies beside the version that {imported.ensemble} uses"
    elif imported.replaced:
        done = f"took the place of {imported.replaced} in {imported.ensemble}"
    else:
        done = f"{'made' if imported.new else 'joined'} {imported.ensemble}"
    what = f" {imported.version} {done} · {imported.task}"
    console.print(Text.assemble((imported.member, "bold"), what))
    if imported.labels:
        console.print(f"labels: {', '.join(label or '(left out)' for label in imported.labels)}")
    for change in imported.changes:
        console.print(f"adapted: {change}", soft_wrap=True)
    if imported.batch_difference == 0:
        console.print("a text's scores are equal to the bit in every batch tried")
    for place, size_bytes in imported.files.items():
        size = f"{size_bytes / 2**20:.2f} MiB {imported.precision}"
        console.print(f"written: {imported.manifest.parent / place} ({size})", soft_wrap=True)
    for warning in imported.warnings:
        console.print(Text.assemble(("note:", "yellow"), f" {warning}"))
    if imported.used:
        console.print(f"written: {imported.manifest}", soft_wrap=True)
    to, why = (imported.replaced, "the one before") if imported.used else (imported.version, "it")
    if to:
        command = f"streamproc models use {imported.ensemble} {imported.member} {to}"
        models = imported.manifest.parent.parent
        console.print(f"to use {why}: {command} --models-dir {models}", soft_wrap=True)
