"""`streamproc gateway`: HTTP in front of the topics, and the keys that callers need."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.lazy import command_group
from streamproc.cli.options import KAFKA, with_gateway_settings, with_settings
from streamproc.cli.service import run_service
from streamproc.errors import OperatorError, SettingsError
from streamproc.settings import Settings
from streamproc.settings.gateway import GatewaySettings

_USED = (
    *KAFKA,
    "models_dir",
    "topics_dir",
    "max_message_bytes",
    "drain_timeout_s",
    "log_format",
    "log_level",
)

KeysFile = Annotated[
    Path | None, typer.Option(help="file of API keys (default: STREAMPROC_GATEWAY_KEYS_FILE)")
]
Limit = Annotated[int | None, typer.Option(min=0, help="instead of the gateway's; 0: no limit")]

app = command_group(
    "Answer HTTP requests through Kafka, until SIGTERM.", invoke_without_command=True
)
keys = command_group("Make, list and revoke the API keys that callers of gateways need.")
app.add_typer(keys, name="keys")


@app.callback()
@with_settings(_USED)
@with_gateway_settings
def gateway(context: typer.Context, settings: Settings, gateway_settings: GatewaySettings) -> None:
    """Answer HTTP requests through Kafka, until SIGTERM.

    Any number of gateways run side by side with any number of workers. On SIGTERM or Ctrl-C
    requests that have come are answered first.
    """
    if context.invoked_subcommand is not None:
        return
    run_service(settings, partial(_serve, settings, gateway_settings))


async def _serve(
    settings: Settings, gateway_settings: GatewaySettings, stop: asyncio.Event
) -> None:
    try:
        from streamproc.web.gateway.server import run_gateway
    except ModuleNotFoundError as error:
        raise OperatorError(
            f"the gateway needs {error.name}; install streamproc[gateway]"
        ) from None
    await run_gateway(settings, gateway_settings, stop)


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="whose the key is")],
    keys_file: KeysFile = None,
    requests_per_minute: Limit = None,
    characters_per_minute: Limit = None,
) -> None:
    """Make a key and print it; it is shown this once, and the file has its hash."""
    from pydantic import ValidationError

    from streamproc.messages.validation import describe
    from streamproc.web.gateway.security.key_file import (
        ApiKey,
        hashed,
        new_key,
        read_keys,
        write_keys,
    )

    file = _file(keys_file)
    known = read_keys(file)
    if any(key.name == name for key in known):
        raise OperatorError(f"{file} has a key of {name}; revoke it first, or choose another name")
    key = new_key()
    try:
        made = ApiKey(
            name=name,
            sha256=hashed(key),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            requests_per_minute=requests_per_minute,
            characters_per_minute=characters_per_minute,
        )
    except ValidationError as error:
        raise OperatorError(describe(error)) from None
    write_keys(file, [*known, made])
    typer.echo(key)


@keys.command("list")
def list_keys(
    keys_file: KeysFile = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """List whose keys there are, and what each may ask; a key itself is not kept."""
    from streamproc.cli.tables import print_table
    from streamproc.cli.terminal import print_json, stdout_console
    from streamproc.web.gateway.security.key_file import read_keys

    file = _file(keys_file)
    if not file.exists():
        raise SettingsError(f"{file}: no such file; `streamproc gateway keys add` makes it")
    known = read_keys(file)
    if json:
        print_json([key.model_dump(exclude={"sha256"}) for key in known])
        return
    rows = [
        (
            key.name,
            key.created,
            _limit(key.requests_per_minute),
            _limit(key.characters_per_minute),
        )
        for key in known
    ]
    headings = ("name", "created", "requests a minute", "characters a minute")
    print_table(stdout_console(), headings, rows, names=(0,))


@keys.command()
def revoke(
    name: Annotated[str, typer.Argument(help="whose key")],
    keys_file: KeysFile = None,
) -> None:
    """Take a key back; running gateways refuse it a second later."""
    from streamproc.did_you_mean import there_are
    from streamproc.web.gateway.security.key_file import read_keys, write_keys

    file = _file(keys_file)
    known = read_keys(file)
    left = [key for key in known if key.name != name]
    if len(left) == len(known):
        whose, names = name or "''", [key.name for key in known]
        raise OperatorError(f"{file} has no key of {whose}; {there_are(name, names)}")
    write_keys(file, left)


def _file(given: Path | None) -> Path:
    from streamproc.settings.gateway import read_gateway_settings

    file = given or read_gateway_settings().keys_file
    if file is None:
        raise SettingsError("say which file of keys: --keys-file, or STREAMPROC_GATEWAY_KEYS_FILE")
    return file


def _limit(value: int | None) -> str:
    return "the gateway's" if value is None else str(value or "none")
