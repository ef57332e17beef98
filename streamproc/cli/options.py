"""Settings as command-line flags, made from the settings themselves, so that none is forgotten."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Annotated, Any

import typer
from pydantic_settings import BaseSettings

from streamproc.settings import Settings, read_settings, shown_value, unknown_settings
from streamproc.settings.gateway import GatewaySettings, read_gateway_settings
from streamproc.settings.sizes import parse_mebibytes

KAFKA = tuple(name for name in Settings.model_fields if name.startswith("kafka_"))
REGISTRY = tuple(name for name in Settings.model_fields if name.startswith("schema_registry_"))
SHARED_CACHE = (
    *("cache_url", "cache_username", "cache_password", "cache_ssl_cafile", "cache_timeout_ms"),
)
# What of the cache matters to a command that answers a file; the environment says the rest.
CACHE = ("cache_bytes", "cache_url")
LOCAL_MODELS = (
    "models_dir",
    "device",
    "threads",
    "max_resident_mb",
    "max_message_bytes",
    "batch_budget_tokens",
    "max_document_chunks",
    "call_timeout_s",
    "log_level",
    "log_format",
)
"""Of commands that ask models in this process."""
MODELS = ("models_dir", "device", "threads", "max_resident_mb", "log_level", "log_format")


def with_settings(
    only: Collection[str] | None = None, *, warns: bool = True
) -> Callable[[Callable[..., Any]], Any]:
    """Give a command a flag for each setting, or for `only` some; it is handed `settings`.

    warns: of variables that are no settings; else the command does so itself
    A flag is text here, whatever its setting's type: settings are validated in one place.
    """

    def read(**flags: Any) -> Settings:
        if warns:
            warn_of_variables()
        return read_settings(**flags)

    names = [name for name in Settings.model_fields if only is None or name in only]
    return lambda command: with_flags(
        command, "settings", [_flag(Settings, name) for name in names], read
    )


def with_gateway_settings(command: Callable[..., Any]) -> Any:
    """Give a command a flag for each setting of a gateway; it is handed `gateway_settings`."""
    flags = [_flag(GatewaySettings, name) for name in GatewaySettings.model_fields]
    return with_flags(command, "gateway_settings", flags, read_gateway_settings)


def with_flags(
    command: Callable[..., Any],
    argument: str,
    flags: Sequence[inspect.Parameter],
    read: Callable[..., Any],
) -> Callable[..., Any]:
    """A command with flags in the place of one argument, which `read` makes of their values."""
    own = inspect.signature(command, eval_str=True)

    @wraps(command)
    def wrapped(**arguments: Any) -> Any:
        values = {flag.name: arguments.pop(flag.name, flag.default) for flag in flags}
        return command(**{argument: read(**values)}, **arguments)

    parameters = [p for name, p in own.parameters.items() if name != argument] + list(flags)
    wrapped.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    )
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    del wrapped.__wrapped__
    return wrapped


def warn_of_variables() -> None:
    """Tell on standard error of every variable that looks like a setting and is none."""
    for variable in unknown_settings():
        typer.echo(f"warning: {variable}", err=True)


def mebibytes(least: int) -> Callable[[str | int], int]:
    """Reads an option that is so many MiB, or a size with its unit."""

    def parse(written: str | int) -> int:
        try:
            size = written if isinstance(written, int) else parse_mebibytes(written)
        except ValueError as error:
            raise typer.BadParameter(f"{written!r} is {error}.") from None
        if size < least:
            raise typer.BadParameter(f"{written} is too little, {least} MiB are the least.")
        return size

    return parse


def _flag(kind: type[BaseSettings], name: str) -> inspect.Parameter:
    field, prefix = kind.model_fields[name], kind.model_config["env_prefix"]
    default = field.default
    shown = shown_value(name, default)
    described = (field.description or "").rstrip(".")
    hint = f" (default {shown})" if shown else ""
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=f"{described}{hint} [{prefix}{name.upper()}]",
        rich_help_panel="Settings",
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, option],
    )
