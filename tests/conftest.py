"""What all tests have: Hypothesis for a machine that may be busy, logging put back as it was."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings

from streamproc.serving.inference.executor import ModelExecutor

if TYPE_CHECKING:
    from tests.support.apicurio import Apicurio

settings.register_profile(
    "streamproc", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("streamproc")


@pytest.fixture(autouse=True)
def logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that configures logging, or runs a command that does, changes no other test's."""
    handlers, level = logging.root.handlers[:], logging.root.level
    # A logger that is kept at its first use would go on writing to what captures this test.
    uncached = partial(structlog.configure, cache_logger_on_first_use=False)
    monkeypatch.setattr(
        structlog,
        "configure",
        lambda cache_logger_on_first_use=False, **options: uncached(**options),
    )
    yield
    monkeypatch.undo()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def schema_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    """A real schema registry, shared by the session: name subjects apart, and leave it running."""
    from tests.support.apicurio import Apicurio

    running = Apicurio(tmp_path_factory.mktemp("schema-registry"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def executor(request: pytest.FixtureRequest) -> AsyncIterator[ModelExecutor]:
    """Threads that run models: two, or as many as the module's THREADS says."""
    executor = ModelExecutor(getattr(request.module, "THREADS", 2))
    yield executor
    executor.close()
