from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.hostile_texts import UNITS, repeated
from tests.fuzz.targets import TARGETS, Target
from tests.support.hostile_models import with_custom_operator, with_endless_loop

_FOUND = Path(__file__).with_name("found")
_WHOLE = (
    b'{"id": "1", "text": "a", "metadata": {"a": [1.10, null]}}',
    b'\x01{"specversion": "1.0", "id": "1", "source": "/", "type": "t", "data": {"text": "a"}}',
    b'{"put": null}',
    b'format = 1\nname = "a"\ntask = "t"\n[[members]]\nname = "m"\n',
    with_endless_loop(),
    with_custom_operator(),
    *(repeated(unit, 120).encode() for unit in UNITS.values()),
)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_target_takes_hostile_texts_and_whole_messages(target: Target) -> None:
    for data in _WHOLE:
        target(data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@given(data=st.one_of(st.binary(max_size=400), st.text(max_size=200).map(str.encode)))
@settings(max_examples=30)
def test_a_target_takes_any_bytes(target: Target, data: bytes) -> None:
    target(data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@given(whole=st.sampled_from(_WHOLE), place=st.integers(0, 400), put=st.binary(max_size=8))
@settings(max_examples=30)
def test_a_target_takes_messages_that_were_changed(
    target: Target, whole: bytes, place: int, put: bytes
) -> None:
    target(whole[:place] + put + whole[place + len(put) :])


@pytest.mark.parametrize(
    ("name", "case"),
    [(path.parent.name, path) for path in sorted(_FOUND.glob("*/*"))],
    ids=lambda value: value.name if isinstance(value, Path) else value,
)
def test_what_a_fuzzer_found_is_mended(name: str, case: Path) -> None:
    TARGETS[name](case.read_bytes())
