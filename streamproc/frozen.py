"""Data that nothing changes, made as quickly as data that anything may change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

Data = TypeVar("Data")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(*, slots: bool = True) -> Callable[[type[Data]], type[Data]]:
    """A dataclass that type checkers hold to be frozen, for what each request makes a dozen of.

    One that is frozen when it runs sets each field by a call, which takes five times as long: of a
    request beside its models that was a twentieth.
    slots: not of a class with cached properties
    """
    return dataclass(slots=slots, unsafe_hash=True)
