"""What a schema registry needs is an extra, imported where a route asks for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streamproc.clock import SystemClock
from streamproc.errors import SettingsError
from streamproc.settings import read_settings
from streamproc.worker.registry import RegistryFormats
from tests.support.registries import MemoryRegistry
from tests.support.route_scenes import MOOD, RegistryScene


@pytest.mark.parametrize("library", ["fastavro", "confluent_kafka.schema_registry"])
def test_a_missing_extra_is_named_with_the_route_that_needs_it(
    monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    route = RegistryScene(MemoryRegistry(), MOOD).route
    for name in [one for one in sys.modules if one.startswith("streamproc.enrichment.registry.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(SettingsError, match=r'route shop: .* pip install "streamproc\[registry\]"'):
        RegistryFormats(read_settings(), [route], SystemClock())


def test_a_worker_that_needs_no_registry_and_no_cache_imports_nothing_for_them() -> None:
    program = (
        "import sys, streamproc.worker.run; "
        "extras = {'fastavro', 'confluent_kafka', 'httpx', 'httpx2', 'cachetools', 'valkey'}; "
        "print(sorted(extras & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"
