"""Settings as command-line flags, made from the settings themselves, so that none is forgotten."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from functools import wraps
from typing import Annotated, Any

import typer

from streamproc.settings import (
    PREFIX,
    Settings,
    read_settings,
    variables_that_are_no_settings,
)

KAFKA = tuple(name for name in Settings.model_fields if name.startswith("kafka_"))
MODELS = ("models_dir", "device", "threads", "max_resident_mb", "log_level", "log_format")


def with_settings(
    only: Collection[str] | None = None, *, warns: bool = True
) -> Callable[[Callable[..., Any]], Any]:
    """Give a command a flag for each setting, or for `only` some; it is handed `settings`.

    warns: of variables that are no settings; else the command does so itself
    A flag is text here, whatever its setting's type: settings are validated in one place.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True)
        names = [name for name in Settings.model_fields if only is None or name in only]

        @wraps(command)
        def wrapped(**arguments: Any) -> Any:
            flags = {name: arguments.pop(name) for name in names}
            if warns:
                warn_of_variables()
            return command(settings=read_settings(**flags), **arguments)

        parameters = [p for name, p in own.parameters.items() if name != "settings"]
        parameters += [_flag(name) for name in names]
        wrapped.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        )
        wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
        del wrapped.__wrapped__
        return wrapped

    return decorate


def warn_of_variables() -> None:
    """Tell on standard error of every variable that looks like a setting and is none."""
    for variable in variables_that_are_no_settings():
        typer.echo(f"warning: {variable}", err=True)


def _flag(name: str) -> inspect.Parameter:
    field = Settings.model_fields[name]
    default = field.default
    shown = ",".join(default) if isinstance(default, tuple) else default
    hint = f" (default {shown})" if shown not in (None, "") else ""
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=f"{field.description}{hint} [{PREFIX}{name.upper()}]",
        rich_help_panel="Settings",
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, option],
    )
