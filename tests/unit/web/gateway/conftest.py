"""Models in this process in the place of Kafka and its workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.gateway_app import LocalReplies
from tests.support.small_ensembles import write_small_ensembles

TASK = "text-classification"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small classifier."""
    folder = tmp_path_factory.mktemp("models")
    write_small_ensembles(folder, (TASK,))
    return folder


@pytest.fixture
def replies(models: Path) -> LocalReplies:
    return LocalReplies(models, TASK)
