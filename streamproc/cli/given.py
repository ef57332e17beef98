"""The command that was given, so that what it wrote says how to have it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from typer._click import Parameter


def given_command(context: typer.Context) -> str:
    """The command with all that was given on the command line, as a shell reads it.

    Of an absolute path folder and name stand there: where it lies on this machine helps nobody
    who reads a report, and may be nobody's business.
    """
    words = context.command_path.split()
    options: list[str] = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            value = context.params.get(parameter.name or "")
            is_argument = parameter.param_type_name == "argument"
            (words if is_argument else options).extend(_words(parameter, value))
    return shlex.join([*words, *options])


def _words(parameter: Parameter, value: object) -> Iterator[str]:
    for one in value if isinstance(value, list | tuple) else [value]:
        if parameter.param_type_name == "argument":
            yield _shortened(one)
        elif isinstance(one, bool):
            yield parameter.opts[0] if one else parameter.secondary_opts[0]
        else:
            yield from (parameter.opts[0], _shortened(one))


def _shortened(value: object) -> str:
    """A path, alone or after NAME=, by folder and name when it is absolute."""
    name, named, rest = str(value).rpartition("=")
    path = Path(rest)
    if path.is_absolute() and (isinstance(value, Path) or path.exists()):
        return f"{name}{named}{path.parent.name}/{path.name}"
    return str(value)
