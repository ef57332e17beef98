from __future__ import annotations

import pytest

from streamproc.errors import EvaluationError
from streamproc.offline.evaluation.groups import RARE, grouped


def fields(**counts: int) -> list[dict[str, str]]:
    return [{"domain": name} for name, count in counts.items() for _ in range(count)]


def test_groups_come_by_size_and_then_by_name() -> None:
    found = grouped(fields(b=RARE, c=RARE + 1, a=RARE), "domain")
    assert found.names == ("c", "a", "b")
    assert found.numbers.tolist() == [2] * RARE + [0] * (RARE + 1) + [1] * RARE


def test_rare_groups_are_put_together_and_said_to_be() -> None:
    found = grouped(fields(x=RARE - 1, large=RARE, y=1), "domain")
    assert found.names == ("large", f"other (2 of fewer than {RARE} records)")
    assert found.numbers.tolist() == [1] * (RARE - 1) + [0] * RARE + [1]


def test_records_without_the_field_are_a_group() -> None:
    found = grouped([*fields(a=RARE + 1), *[{"corpus": "set"}] * RARE], "domain")
    assert found.names == ("a", "no domain")


def test_a_field_that_no_record_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(EvaluationError, match="no record has that field; they have domain, item"):
        grouped([{"domain": "a"}, {"item": "b"}], "domian")


def test_groups_that_are_all_rare_are_refused() -> None:
    with pytest.raises(EvaluationError, match="none of its 2 values has 20 of the 24 records"):
        grouped(fields(a=12, b=12), "domain")
