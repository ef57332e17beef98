"""The public API: what is promised is there, and nothing else is imported with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import streamproc


def test_all_that_is_listed_is_there() -> None:
    assert {name: hasattr(streamproc, name) for name in streamproc.__all__} == dict.fromkeys(
        streamproc.__all__, True
    )
    assert dir(streamproc) == sorted(streamproc.__all__)


def test_what_is_not_listed_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Pipelines'"):
        streamproc.Pipelines  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    "name", ["__version__", "Settings", "RequestClient", "Scorer", "client.Client", "pipeline"]
)
def test_a_name_is_imported_when_it_is_asked_for(name: str) -> None:
    unneeded = {
        "__version__": "pydantic",
        "Settings": "numpy",
        "RequestClient": "onnxruntime",
        "Scorer": "pyarrow",
        "client.Client": "aiokafka",
        "pipeline": "faust",
    }
    program = f"import sys, streamproc; streamproc.{name}; print({unneeded[name]!r} in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout == b"False\n"


@pytest.mark.parametrize("first", ["streamproc.pipeline", "import_all()"])
def test_pipeline_is_the_function_whatever_is_imported_before_or_after(first: str) -> None:
    program = (
        "import importlib, pkgutil, streamproc\n"
        "def import_all():\n"
        "    for found in pkgutil.iter_modules(streamproc.__path__, 'streamproc.'):\n"
        "        if found.name != 'streamproc.__main__': importlib.import_module(found.name)\n"
        f"{first}\n"
        "import_all()\n"
        "from streamproc.request_pipeline import Pipeline\n"
        "from streamproc import pipeline\n"
        "print(callable(streamproc.pipeline), pipeline is streamproc.pipeline)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout == b"True True\n"


def test_no_module_takes_the_place_of_a_public_function_or_class() -> None:
    modules = {path.stem for path in Path(streamproc.__path__[0]).iterdir()}

    # Importing a module sets its name on the package.
    assert modules & set(streamproc.__all__) == {"client", "errors", "testing"}
