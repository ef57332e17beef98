"""Failures of libraries written in Rust, which are no exceptions by themselves."""

from __future__ import annotations

import asyncio

import pytest

from streamproc.panics import LibraryPanicked, panics_as_exceptions
from tests.support.panicking_tokenizer import PANICS, panicking_library


def test_a_panic_is_an_exception_that_quotes_nothing() -> None:
    library = panicking_library()

    with pytest.raises(LibraryPanicked) as raised, panics_as_exceptions():
        library.encode(PANICS)

    assert str(raised.value) == "a library failed with PanicException"
    assert raised.value.__cause__ is None
    assert raised.traceback[-1].name == "test_a_panic_is_an_exception_that_quotes_nothing"


@pytest.mark.parametrize(
    "raised",
    [ValueError(), asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(), GeneratorExit()],
    ids=lambda one: type(one).__name__,
)
def test_what_python_raises_is_left_as_it_is(raised: BaseException) -> None:
    with pytest.raises(type(raised)) as found, panics_as_exceptions():
        raise raised
    assert found.value is raised
