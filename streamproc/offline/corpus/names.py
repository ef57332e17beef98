"""What an ensemble calls that which a corpus spells otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from streamproc.errors import TrainingError


def names_from(written: Sequence[str], least: int = 0) -> dict[str, str]:
    """The names by the corpus's spelling that a user wrote, SPELLING=NAME; raises TrainingError.

    least: how many different names there must be
    """
    if least and not written:
        raise TrainingError("The corpus has no labels: --label-field names the field with them.")
    names = dict(one.partition("=")[::2] for one in written)
    if len(set(names.values())) < least or not all(names.values()) or len(names) != len(written):
        raise TrainingError(
            f"--label {' '.join(written)}: expected SPELLING=NAME, each spelling once, "
            f"{least} or more names."
        )
    return names
