"""Hugging Face folders imported as a user does it, and what the members then answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from streamproc.cli.importing import import_model
from tests.support.command import streamproc

app = typer.Typer()
app.command()(import_model)


def saved(folder: Path, model: Any, tokenizer: bytes) -> Path:
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(tokenizer)
    return folder


def imported(source: Path, models: Path, *more: str) -> None:
    arguments = [str(source), "--ensemble=mine", f"--out={models}", *more]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output


def answers(models: Path, task: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = streamproc(
        *("run", "-", "--format", "jsonl", "--task", task, "--ensemble", "mine"),
        *("--models-dir", models),
        stdin="".join(json.dumps(request) + "\n" for request in requests),
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["result"] for line in done.stdout.splitlines()]
