"""The public API: what is promised is there, and nothing else is imported with it."""

from __future__ import annotations

import subprocess
import sys

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


@pytest.mark.parametrize("name", ["__version__", "Settings", "RequestClient"])
def test_a_name_is_imported_when_it_is_asked_for(name: str) -> None:
    unneeded = {"__version__": "pydantic", "Settings": "numpy", "RequestClient": "onnxruntime"}
    program = f"import sys, streamproc; streamproc.{name}; print({unneeded[name]!r} in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout == b"False\n"
