from __future__ import annotations

import re
from importlib.metadata import version

import pytest

from streamproc import __version__
from streamproc.serving.inference import numerics as module
from streamproc.serving.inference.numerics import numerics
from streamproc.serving.inference.providers import CPU, Provider


def test_it_names_what_the_last_bits_depend_on() -> None:
    found = numerics(Provider(CPU))

    assert found == numerics(Provider(CPU))
    assert f"streamproc {__version__} " in found
    assert f"numpy {version('numpy')} " in found
    assert re.search(r"onnxruntime \d", found)
    assert CPU in found


@pytest.mark.parametrize(
    ("info", "features"),
    [
        ("flags\t\t: fpu sse2 smep avx2 fma\nflags\t\t: fpu", "avx2 fma sse2"),
        ("Features\t: fp asimd sve2 sme crc32", "asimd sme sve2"),
        ("nothing of the kind", ""),
    ],
)
def test_another_processor_is_another_one(
    monkeypatch: pytest.MonkeyPatch, info: str, features: str
) -> None:
    class Info:
        def read_text(self, *_: str) -> str:
            return info

    monkeypatch.setattr(module, "_CPU_INFO", Info())

    assert numerics(Provider(CPU)).endswith(f" {features}")
