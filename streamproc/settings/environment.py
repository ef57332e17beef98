"""Variables that look like settings and are none: misspelt ones are told, others' are let be."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from streamproc.errors import closest

# Kubernetes tells every container of every Service, by the Service's name: one called streamproc,
# or streamproc-web, makes variables that begin as settings do.
_OF_A_SERVICE: Final = re.compile(
    r".*_SERVICE_HOST|.*_SERVICE_PORT(_.*)?|.*_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?"
)
_LINK: Final = re.compile(r"(tcp|udp|sctp)://.*")


@dataclass(frozen=True, slots=True)
class UnknownVariable:
    """A variable that no setting is read from; meant: the one that it may have been to be."""

    name: str
    meant: str | None

    def __str__(self) -> str:
        hint = f"did you mean {self.meant}?" if self.meant else "it has no effect"
        return f"{self.name} is no setting; {hint}"


def unknown_variables(
    environment: Mapping[str, str], prefix: str, known: Collection[str]
) -> tuple[UnknownVariable, ...]:
    """The variables of that prefix that are none of `known`, in order of their names.

    known: names in capitals, without the prefix
    """
    return tuple(
        UnknownVariable(variable, meant and prefix + meant)
        for variable, value in sorted(environment.items())
        if variable.upper().startswith(prefix)
        and (name := variable.upper().removeprefix(prefix)) not in known
        and not _OF_A_SERVICE.fullmatch(variable)
        and not is_service_link(value)
        for meant in (closest(name, known),)
    )


def is_service_link(value: object) -> bool:
    """What Kubernetes gives as NAME_PORT: `tcp://10.0.0.1:8080`."""
    return isinstance(value, str) and _LINK.fullmatch(value) is not None
