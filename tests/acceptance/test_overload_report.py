from __future__ import annotations

from pathlib import Path

from tests.support.overload_report import (
    Latency,
    Look,
    by_phase,
    draw,
    memory_growth_mib,
    quantile,
)

LOAD_S = 90.0


def looks(last_mib: float) -> list[Look]:
    """Memory that rises in the first third of the load, stays, and changes in the last."""
    return [
        Look(second, 300 + second if second <= 30 else last_mib if second > 60 else 330, 10)
        for second in range(-5, 100)
    ]


def test_memory_that_rises_at_first_and_then_stays_has_not_grown() -> None:
    assert memory_growth_mib(looks(330), LOAD_S) == 0
    assert memory_growth_mib(looks(400), LOAD_S) == 70
    assert memory_growth_mib([], LOAD_S) == 0


def test_quantiles_are_told_before_the_load_while_it_lasts_and_after_it() -> None:
    latencies = [
        Latency(second, ms)
        for second, ms in [(-1, 10), (0, 100), (45, 300), (89.9, 200), (90, 20), (95, 30)]
    ]

    found = by_phase(latencies, LOAD_S)

    asked = {phase: (of["asked"], of["p50_ms"], of["most_ms"]) for phase, of in found.items()}
    assert asked == {
        "interactive before": (1, 10, 10),
        "interactive during": (3, 200, 300),
        "interactive after": (2, 30, 30),
    }


def test_a_quantile_is_a_value_that_so_large_a_share_does_not_exceed() -> None:
    assert quantile([], 0.5) == 0
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile(range(100), 0.99) == 99


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    draw(looks(330), [Latency(1, 30)], LOAD_S, tmp_path / "overload.png")

    assert (tmp_path / "overload.png").read_bytes().startswith(b"\x89PNG")
