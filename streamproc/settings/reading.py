"""Settings of any kind read from flags and the environment, and the forms that values have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, NoDecode

from streamproc.errors import SettingsError
from streamproc.settings.environment import is_service_link

PREFIX: Final = "STREAMPROC_"
_Settings = TypeVar("_Settings", bound=BaseSettings)


def _listed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
"""Several names, separated by commas."""


def port_or(default: int) -> Callable[[Any], Any]:
    """A port as it was set, or the default where Kubernetes set the variable.

    A Service called streamproc-web makes it set STREAMPROC_WEB_PORT to the Service's address.
    """
    return lambda value: default if is_service_link(value) else value


def read(kind: type[_Settings], flags: Mapping[str, Any]) -> _Settings:
    """Settings of one kind; a flag that is None was not given.

    Raises SettingsError naming every variable that is wrong, and what is allowed.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    prefix = str(kind.model_config["env_prefix"])
    try:
        return kind(**given)
    except ValidationError as error:
        lines = [
            f"{prefix}{str(fault['loc'][0]).upper()}={_without_password(fault['input'])!r}: "
            f"{fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        ]
        raise SettingsError("wrong settings:\n  " + "\n  ".join(lines)) from None


def _without_password(value: object) -> object:
    """The value given, unless it may hold a password."""
    return "***" if "@" in str(value) else value
