"""JSON as people write it: any spelling of any value, and a slow, plain way to find one in it."""

from __future__ import annotations

import json
from json.decoder import JSONDecoder

from hypothesis import strategies as st

SPACES = st.sampled_from(["", "", " ", "\n", "\t\r\n "])
NUMBERS = st.sampled_from(
    [
        *("0", "-0", "1.10", "-0.0", "1e400", "-1E+400", "1e-400", "18446744073709551616"),
        *("-9223372036854775809", "12345678901234567890.12", "0e0", "9" * 400),
    ]
) | st.integers().map(str)  # fmt: skip
LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
STRINGS = st.one_of(
    LETTERS.map(json.dumps),
    LETTERS.map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from([r'"\/"', r'"é"', r'"\""', r'"\\"', '"]"', '"{\\"metadata\\":1}"']),
)
KEYS = STRINGS | st.sampled_from(['"metadata"', '"data"', '"id"', '"a"', r'"\u006detad\u0061ta"'])


@st.composite
def _array(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    written = draw(st.lists(items, max_size=4))
    return "[" + ",".join(draw(SPACES) + item + draw(SPACES) for item in written) + "]"


@st.composite
def _object(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    # Keys may come twice.
    members = draw(st.lists(st.tuples(KEYS, items), max_size=4))
    return (
        "{"
        + ",".join(
            f"{draw(SPACES)}{key}{draw(SPACES)}:{draw(SPACES)}{value}{draw(SPACES)}"
            for key, value in members
        )
        + "}"
    )


VALUES: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(["null", "true", "false"]) | NUMBERS | STRINGS,
    lambda inner: _array(inner) | _object(inner),
    max_leaves=10,
)
OBJECTS: st.SearchStrategy[str] = _object(VALUES)


def found_plainly(text: str, *path: str) -> str | None:
    """The text of the value that these members lead to, the last where several have one name."""
    at = _past_space(text, 0)
    for name in path:
        if text[at] != "{":
            return None
        found = None
        at = _past_space(text, at + 1)
        while text[at] != "}":
            key, at = JSONDecoder().raw_decode(text, at)
            at = _past_space(text, _past_space(text, at) + 1)
            found = at if key == name else found
            _, at = JSONDecoder().raw_decode(text, at)
            at = _past_space(text, at)
            if text[at] == ",":
                at = _past_space(text, at + 1)
        if found is None:
            return None
        at = found
    return text[at : JSONDecoder().raw_decode(text, at)[1]]


def _past_space(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at
