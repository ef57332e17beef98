from __future__ import annotations

import pytest

from streamproc.caching.kept import Kept

KEY, KEPT = b"k" * 32, Kept(b'{"label":"good"}', 1_700_000_000_000)


def test_what_was_sealed_opens_as_it_was() -> None:
    assert Kept.opened(KEY, KEPT.sealed(KEY)) == KEPT


@pytest.mark.parametrize("place", range(len(KEPT.sealed(KEY))))
def test_one_changed_byte_anywhere_is_noticed(place: int) -> None:
    sealed = bytearray(KEPT.sealed(KEY))
    sealed[place] ^= 1

    assert Kept.opened(KEY, bytes(sealed)) is None


@pytest.mark.parametrize("length", [0, 1, 15, 16, 20, 23, 30])
def test_bytes_that_are_cut_off_are_not_opened(length: int) -> None:
    assert Kept.opened(KEY, KEPT.sealed(KEY)[:length]) is None


def test_what_was_sealed_for_another_key_is_not_opened() -> None:
    assert Kept.opened(b"o" * 32, KEPT.sealed(KEY)) is None
