"""Hypothesis on a machine that may be busy: no example is too slow, only wrong."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "streamproc", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("streamproc")
