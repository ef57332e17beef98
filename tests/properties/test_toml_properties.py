from __future__ import annotations

import tomllib
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from streamproc.toml import TomlValue, document

# No surrogates: TOML is UTF-8.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = (
    texts
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.dates(date(1, 1, 1))
)
values: st.SearchStrategy[TomlValue] = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(texts, values, max_size=5))
def test_what_is_written_is_read_back(written: dict[str, TomlValue]) -> None:
    assert tomllib.loads(document(written)) == written
