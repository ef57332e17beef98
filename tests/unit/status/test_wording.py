from __future__ import annotations

import pytest

from streamproc.status.wording import amount, duration, percent, size


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (0.25, "0.25"), (0.96, "1.0"), (3.14, "3.1"), (99.97, "100"), (12345.6, "12,346")],
)
def test_amounts(value: float, said: str) -> None:
    assert amount(value) == said


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (None, "–"),
        (0, "0"),
        (12.4, "12 ms"),
        (2_500, "2.5 s"),
        (59_000, "59 s"),
        (90_000, "1.5 min"),
        (7_200_000, "2.0 h"),
        (864_000_000, "10 d"),
    ],
)
def test_durations(ms: float | None, said: str) -> None:
    assert duration(ms) == said


@pytest.mark.parametrize(
    ("share", "said"), [(None, "–"), (0, "0 %"), (0.004, "0.4 %"), (0.5, "50 %"), (1, "100 %")]
)
def test_shares(share: float | None, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(
    ("size_bytes", "said"),
    [(None, "–"), (512, "512 B"), (4_608, "4.5 KiB"), (400 << 20, "400 MiB"), (3 << 30, "3.0 GiB")],
)
def test_sizes(size_bytes: int | None, said: str) -> None:
    assert size(size_bytes) == said
