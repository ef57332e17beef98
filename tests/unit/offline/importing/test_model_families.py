"""The list of families is what the docs say, and what is refused says why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamproc.errors import ModelRefused
from streamproc.offline.importing.families import FAMILIES, families_table, require_served

DOCS = Path(__file__).parents[4] / "docs" / "bring-your-own.md"


def test_the_table_in_the_docs_is_the_list() -> None:
    found = re.search(
        r"<!-- families -->\n(.*)<!-- /families -->", DOCS.read_text("utf-8"), re.DOTALL
    )
    assert found is not None
    assert found.group(1) == families_table()


def test_a_task_is_served_or_refused_and_each_family_is_listed_once() -> None:
    kinds = [family.model_type for family in FAMILIES]
    assert len(set(kinds)) == len(kinds)
    for family in FAMILIES:
        assert not set(family.served) & family.refused.keys()
        assert family.served or family.refused


def test_a_family_that_is_refused_says_why_and_what_to_do() -> None:
    with pytest.raises(
        ModelRefused, match=r"XLNet .* optimum has no export of it\. Take a model of"
    ):
        require_served("xlnet", "text-classification")
    require_served("bert", "text-classification")
    require_served("never-heard-of", "text-classification")
    require_served(None, "text-classification")
