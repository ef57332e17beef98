from __future__ import annotations

import pytest

from tests.support.soak_report import Sample, growth

RATE = 10.0


def samples(**last: float) -> list[Sample]:
    """Of a worker that holds ever more in its first third, and in its last what is told here."""
    found = []
    for second in range(1, 91):
        held: dict[str, float] = {"memory_mib": 400, "handles": 30, "threads": 12, "behind": 3}
        if second <= 30:
            held["memory_mib"] = 300 + second
        if second > 60:
            held |= last
        found.append(Sample(0, second, **held))  # type: ignore[arg-type]
    return found


def faults(**last: float) -> list[str]:
    (grown,) = growth(samples(**last))
    return grown.faults(RATE)


def test_what_stays_as_it_is_has_no_fault_though_it_grew_at_first() -> None:
    assert faults() == []
    assert faults(memory_mib=410, handles=32, threads=13, behind=90) == []


@pytest.mark.parametrize(
    ("last", "fault"),
    [
        ({"memory_mib": 440}, "worker 0: memory in MiB grew from 400 to 440"),
        ({"handles": 40}, "worker 0: open files and connections grew from 30 to 40"),
        ({"threads": 14}, "worker 0: threads grew from 12 to 14"),
        ({"behind": 150}, "worker 0: requests behind grew from 3 to 150"),
    ],
)
def test_what_grows_is_named(last: dict[str, float], fault: str) -> None:
    assert faults(**last) == [fault]


def test_each_worker_is_looked_at_by_itself() -> None:
    both = [*samples(), *(Sample(1, one.second, 500, 30, 12, 3) for one in samples())]

    assert [one.worker for one in growth(both)] == [0, 1]


def test_a_worker_that_was_not_seen_in_a_third_is_told() -> None:
    with pytest.raises(ValueError, match="no sample of worker 0"):
        growth([Sample(0, 1.0, 400, 30, 12, 3), Sample(0, 90.0, 400, 30, 12, 3)])
