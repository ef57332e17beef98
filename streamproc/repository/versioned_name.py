"""`sentiment@2`: the name of an ensemble and, where one is meant, its version."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from streamproc.messages.request import ENSEMBLE_NAME

FIRST_VERSION: Final = "1"
"""The version that lies in the folder of the ensemble's plain name."""

_VERSION: Final = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}"
VERSIONED_NAME: Final = rf"^{ENSEMBLE_NAME.strip('^$')}(@{_VERSION})?$"


class VersionedName(NamedTuple):
    """version: None: the one that is served unless somebody says otherwise"""

    name: str
    version: str | None

    @classmethod
    def read(cls, text: str) -> VersionedName | None:
        """The parts of `NAME` or `NAME@VERSION`; None: it is neither."""
        if not re.fullmatch(VERSIONED_NAME, text):
            return None
        name, _, version = text.partition("@")
        return cls(name, version or None)

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}@{self.version}"


def versioned(name: str, version: str | None) -> str:
    """`NAME@VERSION`; where no version is meant, the name alone."""
    return str(VersionedName(name, version))


def plain_name(text: str) -> str:
    """The name without a version; what can be no name is handed back as it is."""
    read = VersionedName.read(text)
    return text if read is None else read.name
