"""Keras and TensorFlow models to ONNX, where both are installed; how to do it elsewhere if not."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from streamproc.errors import ModelRefused
from streamproc.offline.importing.model_files import ModelFiles

_NEEDED = ("tensorflow", "tf2onnx")
# Keras exports no model that was not called since it was loaded.
_EXPORT = (
    "import keras, sys; m = keras.saving.load_model(sys.argv[1]); "
    "m([keras.ops.zeros([n or 8 for n in i.shape], i.dtype) for i in m.inputs]); "
    'm.export(sys.argv[2], format="onnx")'
)


def convert(files: ModelFiles, target: Path) -> None:
    """Write a Keras file or a SavedModel as ONNX, in a process of its own.

    Raises ModelRefused where tensorflow or tf2onnx is not installed, with the commands that make
    the file in another environment, or with what they say if they fail.
    """
    missing = [package for package in _NEEDED if find_spec(package) is None]
    if missing:
        raise ModelRefused(
            f"{files.path} is a model of Keras or TensorFlow, and {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not "
            "installed here. Export it in an environment of its own:\n"
            "    python3 -m venv keras-onnx\n"
            "    keras-onnx/bin/pip install tensorflow tf2onnx\n"
            f"    keras-onnx/bin/python {shlex.join(_command(files, 'model.onnx'))}\n"
            "and import model.onnx."
        )
    done = subprocess.run(  # noqa: S603  # this very interpreter
        [sys.executable, *_command(files, str(target))],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not target.is_file():
        raise ModelRefused(
            f"{files.path} can't be exported to ONNX: {' / '.join(done.stderr.splitlines()[-3:])}"
        )


def _command(files: ModelFiles, target: str) -> list[str]:
    """Arguments of a Python that has both packages."""
    if files.format == "keras":
        return ["-c", _EXPORT, str(files.path), target]
    return ["-m", "tf2onnx.convert", "--saved-model", str(files.path), "--output", target]
