"""Writing TOML, which Python's standard library only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tomli_w

TomlValue = str | int | float | Sequence["TomlValue"] | Mapping[str, "TomlValue"]


def to_toml(values: Mapping[str, Any]) -> str:
    """The values as TOML; a lone surrogate, which TOML has no form for, becomes "?"."""
    return tomli_w.dumps(values).encode("utf-8", "replace").decode()
