"""Keras and TensorFlow models to ONNX, where both are installed; how to do it elsewhere if not."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from streamproc.errors import ModelRefused
from streamproc.importing.sources import Source

_NEEDED = ("tensorflow", "tf2onnx")
_EXPORT = 'import keras; keras.saving.load_model("{path}").export("{target}", format="onnx")'


def convert(source: Source, target: Path) -> None:
    """Write a Keras file or a SavedModel as ONNX, in a process of its own.

    Raises ModelRefused where tensorflow or tf2onnx is not installed, with the commands that make
    the file in another environment, or with what they say if they fail.
    """
    missing = [package for package in _NEEDED if find_spec(package) is None]
    if missing:
        command = [f"'{part}'" if " " in part else part for part in _command(source, "model.onnx")]
        raise ModelRefused(
            f"{source.path} is a model of Keras or TensorFlow, and {' and '.join(missing)} is not "
            "installed here. Export it in an environment of its own:\n"
            "    python3 -m venv keras-onnx\n"
            "    keras-onnx/bin/pip install tensorflow tf2onnx\n"
            f"    keras-onnx/bin/python {' '.join(command)}\n"
            "and import model.onnx."
        )
    done = subprocess.run(  # noqa: S603  # this very interpreter
        [sys.executable, *_command(source, str(target))],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not target.is_file():
        raise ModelRefused(
            f"{source.path} can't be exported to ONNX: {' / '.join(done.stderr.splitlines()[-3:])}"
        )


def _command(source: Source, target: str) -> list[str]:
    """Arguments of a Python that has both packages."""
    if source.form == "keras":
        return ["-c", _EXPORT.format(path=source.path, target=target)]
    return ["-m", "tf2onnx.convert", "--saved-model", str(source.path), "--output", target]
