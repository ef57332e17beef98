"""`streamproc models import`: a model that was made elsewhere becomes a member of an ensemble."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
    from streamproc.offline.importing.import_options import ImportOptions
    from streamproc.offline.importing.imports import Imported


Source = Annotated[
    Path,
    typer.Argument(
        help="a Hugging Face folder, an .onnx file, a folder exported by optimum, a .keras "
        "file or a SavedModel"
    ),
]
Ensemble = Annotated[
    str, typer.Option(help="ensemble to add to; it is created if it does not exist")
]
Task = Annotated[
    str | None, typer.Option(help="task; default: the ensemble's, or that of config.json")
]
Tokenizer = Annotated[
    Path | None,
    typer.Option(help="tokenizer.json; default: the ensemble's, or the one in SOURCE"),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        help="label of each output, in order; or OLD=NEW for one of config.json; '' or OLD= "
        "leaves it out; may be repeated"
    ),
]
Member = Annotated[str | None, typer.Option(help="name of the member; default: the file's")]
Version = Annotated[str, typer.Option(help="version of the member; other versions are kept")]
Use = Annotated[
    bool,
    typer.Option("--use/--no-use", help="replace the member's version in use"),
]
Out = Annotated[Path, typer.Option(help="models folder to write to")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", help="the model's name of an input, e.g. input_ids=keras_tensor"),
]
Outputs = Annotated[
    list[str] | None,
    typer.Option("--output", help="the model's name of an output, e.g. logits=dense_2"),
]
ProblemTypes = Annotated[
    Literal["single_label_classification", "multi_label_classification", "regression"] | None,
    typer.Option(
        help="what a classifier's outputs are, in transformers' words; default: as config.json or "
        "the graph shows"
    ),
]
Scores = Annotated[
    Literal["logits", "probabilities"] | None,
    typer.Option(help="what the outputs are; default: as the last node of the graph shows"),
]
PaddedTo = Annotated[
    int | None,
    typer.Option(min=1, help="tokens that every text was padded to in training"),
]
PadToken = Annotated[
    str | None, typer.Option(help="padding token, or its id; default: the tokenizer's, or 0")
]
PadSide = Annotated[
    Literal["right", "left"], typer.Option(help="side of the padding, with --padded-to")
]
Window = Annotated[
    int | None,
    typer.Option(min=8, help="new ensemble: longest chunk, in tokens"),
]
Overlap = Annotated[
    int | None, typer.Option(min=0, help="new ensemble: tokens by which windows overlap")
]
Prefix = Annotated[
    str | None,
    typer.Option(help="new ensemble: text put before every sentence to translate"),
]
SourceLanguage = Annotated[
    str | None,
    typer.Option(help="new multilingual ensemble: source language, a code of the tokenizer"),
]
TargetLanguage = Annotated[
    str | None,
    typer.Option(help="new multilingual ensemble: target language of requests that name none"),
]
Description = Annotated[str, typer.Option(help="new ensemble: description")]
License = Annotated[str, typer.Option(help="license of the model; default: its model card's")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


def import_model(
    source: Source,
    ensemble: Ensemble,
    task: Task = None,
    tokenizer: Tokenizer = None,
    label: Labels = None,
    member: Member = None,
    version: Version = "1",
    use: Use = True,
    out: Out = Path("models"),
    model_input: Inputs = None,
    model_output: Outputs = None,
    problem_type: ProblemTypes = None,
    scores: Scores = None,
    padded_to: PaddedTo = None,
    pad_token: PadToken = None,
    pad_side: PadSide = "right",
    window: Window = None,
    overlap: Overlap = None,
    prefix: Prefix = None,
    source_language: SourceLanguage = None,
    target_language: TargetLanguage = None,
    description: Description = "",
    license: License = "",
    json: Json = False,
) -> None:
    """Import a model as a member of an ensemble: adapt it, verify it, write it.

    What the model does not tell is asked at a terminal; elsewhere an error names the flag to use.
    """
    with _extra():
        from streamproc.offline.importing.import_options import ImportOptions as Options
    options = Options(
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
        problem_type=problem_type,
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
    _import(options, json=json)


def _import(options: ImportOptions, *, json: bool) -> None:
    from streamproc.logs import configure_logging

    with _extra():
        from streamproc.offline.importing import imports
    configure_logging(read_settings())
    prompter = _TerminalPrompter() if sys.stdin.isatty() else _NoPrompter()
    imported = imports.import_model(
        options, prompter, export=_export, verify=verify_on_cpu, make_tokenizer=_tokenizer_of
    )
    if json:
        said = {**asdict(imported), "manifest": str(imported.manifest)}
        print_json(said)
    else:
        _show(imported)


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as missing:
        raise OperatorError(
            f"Importing needs {missing.name}, which is not installed: install streamproc[import]."
        ) from missing


class _TerminalPrompter:
    """A person, who is asked."""

    def ask(self, question: str, flag: str) -> str:
        return str(typer.prompt(f"{question} [{flag}]\n", prompt_suffix="> ", err=True))


class _NoPrompter:
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
        done = f"is stored beside the version that {imported.ensemble} uses"
    elif imported.replaced:
        done = f"took the place of {imported.replaced} in {imported.ensemble}"
    else:
        done = f"{'made' if imported.new else 'joined'} {imported.ensemble}"
    kind = imported.problem_type
    of = f" ({kind})" if kind != "single_label_classification" else ""
    what = f" {imported.version} {done} · {imported.task}{of}"
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
