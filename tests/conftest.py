"""What all tests have: Hypothesis for a machine that may be busy, logging put back as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile(
    "streamproc", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("streamproc")


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """For a test that configures logging: without it the tests that follow would use the same."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()
