"""Ensembles made by hand for every task: quick to load, and their answers mean nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import streamproc
from streamproc.local.loaded_models import LOADED
from tests.support.small_ensembles import SMALL, write_small_ensembles


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with one small ensemble a task."""
    folder = tmp_path_factory.mktemp("models")
    write_small_ensembles(folder, tuple(SMALL))
    return folder


@pytest.fixture
def settings(models: Path) -> streamproc.Settings:
    return streamproc.Settings(models_dir=models, threads=1)


@pytest.fixture
def pipeline(settings: streamproc.Settings) -> Iterator[Callable[..., Any]]:
    """`streamproc.pipeline` over the small ensembles; what it makes is closed after the test."""
    made = []

    def make(*arguments: Any, **options: Any) -> Any:
        made.append(streamproc.pipeline(*arguments, settings=settings, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def models_of_scorers() -> Iterator[None]:
    """No test uses what a scorer of another test has loaded."""
    yield
    for key in tuple(LOADED.loaded):
        LOADED.close(*key)
