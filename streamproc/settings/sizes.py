"""Amounts of memory as people write them: 1048576, 512KiB, 1MiB, 64MB."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, ByteSize, TypeAdapter, ValidationError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_SIZE = TypeAdapter(ByteSize)
_UNITS = {"GiB": GIB, "MiB": MIB, "KiB": KIB}


def parse_bytes(written: str) -> int:
    """A size in bytes. A plain number is bytes; KiB counts 1024, KB 1000.

    Raises ValueError when it is not a size.
    """
    try:
        return int(_SIZE.validate_python(written.strip()))
    except ValidationError:
        raise ValueError("not a size; write it as 1048576, 512KiB, 1MiB or 64MB") from None


def parse_mebibytes(written: str) -> int:
    """A size in MiB, rounded up because 0 may mean "no limit". A plain number is MiB.

    Raises ValueError when it is not a size.
    """
    if written.strip().isdecimal():
        return int(written)
    return -(-parse_bytes(written) // MIB)


def shown_bytes(size_bytes: int) -> str:
    """A size in the largest unit that divides it, so that it is exact and readable."""
    for unit, one in _UNITS.items():
        if size_bytes and size_bytes % one == 0:
            return f"{size_bytes // one}{unit}"
    return str(size_bytes)


def bytes_between(least: int, most: int | None = None) -> BeforeValidator:
    """Validates a setting in bytes; its errors give the bounds in readable units."""

    def validate(value: object) -> object:
        size_bytes = parse_bytes(value) if isinstance(value, str) else value
        if isinstance(size_bytes, int) and size_bytes < least:
            raise ValueError(f"must be {shown_bytes(least)} or more")
        if isinstance(size_bytes, int) and most is not None and size_bytes > most:
            raise ValueError(f"must be {shown_bytes(most)} or less")
        return size_bytes

    return BeforeValidator(validate)


Mebibytes = Annotated[
    int, BeforeValidator(lambda value: parse_mebibytes(value) if isinstance(value, str) else value)
]
"""A setting in MiB."""
