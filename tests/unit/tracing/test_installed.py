"""Whether a worker traces: only where OpenTelemetry is there, and somebody has set it up."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streamproc.testing import MemoryBroker, build_pipeline
from streamproc.tracing.installed import installed_tracer
from streamproc.tracing.tracer import NO_TRACER

ASK = "from streamproc.tracing.installed import installed_tracer; "
SHOW = "print(type(installed_tracer('g')).__name__)"


def in_a_process(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_the_package_there_is_no_tracer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert installed_tracer("g") is NO_TRACER


def test_without_an_sdk_that_was_set_up_there_is_no_tracer() -> None:
    loaded = "import sys; print('opentelemetry.sdk' in sys.modules)"
    assert in_a_process(ASK + SHOW + "; " + loaded) == "Tracer\nFalse"


def test_with_one_spans_are_made() -> None:
    set_up = (
        "from opentelemetry import trace; from opentelemetry.sdk.trace import TracerProvider; "
        "trace.set_tracer_provider(TracerProvider()); "
    )
    assert in_a_process(ASK + set_up + SHOW) == "OpenTelemetryTracer"


def test_no_tracer_puts_nothing_around_handlers_and_publishers() -> None:
    broker = MemoryBroker()
    pipeline = build_pipeline(broker)
    publish = broker.publish
    assert NO_TRACER.consuming(pipeline) is pipeline
    assert NO_TRACER.publishing(publish) is publish
    assert NO_TRACER.exemplar() is None


def test_the_package_itself_is_not_needed_to_import_the_way_of_a_request() -> None:
    block = "import sys; sys.modules['opentelemetry'] = None; "
    assert in_a_process(block + "import streamproc.request_pipeline; print('fine')") == "fine"
