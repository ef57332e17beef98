"""Environment variables that look like settings and are not; those of Kubernetes are ignored."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from streamproc.did_you_mean import closest

# Kubernetes sets variables in every container for every Service: those of a Service called
# streamproc, or streamproc-web, begin with the prefix of settings.
_SERVICE_VARIABLE: Final = re.compile(
    r".*_SERVICE_HOST|.*_SERVICE_PORT(_.*)?|.*_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?"
)
_LINK: Final = re.compile(r"(tcp|udp|sctp)://.*")


@dataclass(frozen=True, slots=True)
class UnknownVariable:
    """A variable that is not a setting; meant: the setting that it is probably a misspelling of."""

    name: str
    meant: str | None

    def __str__(self) -> str:
        hint = f"did you mean {self.meant}?" if self.meant else "it has no effect"
        return f"{self.name} is not a setting; {hint}"


def unknown_variables(
    environment: Mapping[str, str], prefix: str, known: Collection[str]
) -> tuple[UnknownVariable, ...]:
    """The variables with that prefix that are not in `known`, sorted by name.

    known: names in capitals, without the prefix
    """
    return tuple(
        UnknownVariable(variable, meant and prefix + meant)
        for variable, value in sorted(environment.items())
        if variable.upper().startswith(prefix)
        and (name := variable.upper().removeprefix(prefix)) not in known
        and not _SERVICE_VARIABLE.fullmatch(variable)
        and not is_service_link(value)
        for meant in (closest(name, known),)
    )


def is_service_link(value: object) -> bool:
    """The value that Kubernetes sets for NAME_PORT: `tcp://10.0.0.1:8080`."""
    return isinstance(value, str) and _LINK.fullmatch(value) is not None
