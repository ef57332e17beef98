"""Whether a text is drawn by lot, as servers of large models are told: by the temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_OF_LOTS: Final = ("temperature", "top_k", "top_p")


def with_sampling(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same parameters, with a `do_sample` where they mean one.

    A temperature of 0 is greedy, and then nothing counts that says how lots are drawn; anything
    else that says so means that they are. Where nothing does, the manifest decides.
    """
    params = {name: value for name, value in given.items() if value is not None}
    if params.get("temperature") == 0:
        greedy = {name: value for name, value in params.items() if name not in (*_OF_LOTS, "seed")}
        return {**greedy, "do_sample": False}
    if any(name in params for name in _OF_LOTS):
        params.setdefault("do_sample", True)
    return params
