"""Commands that are imported when they are asked for, and help that fits every terminal.

Importing all commands takes ten times as long as printing what they are called. So a group knows
its commands by name and one line, and imports the module of the one that is called. Help is plain
text: it wraps at any width, cuts nothing, and goes through a pipe as it is (decision 30).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter


class PlainCommand(TyperCommand):
    """A command whose options are listed under the headings that they were given."""

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Arguments, options, then a section for each heading; one that is empty is left out."""
        _write_parameters(self, ctx, formatter)


class LazyCommand(TyperCommand):
    """Stands for a command that is not imported yet.

    line:   what it does, as the group's help says it
    target: module:name of its function, or of the typer application of a group
    """

    def __init__(self, name: str, line: str, target: str) -> None:
        super().__init__(name=name, short_help=line)
        self._target = target

    def load(self) -> Command:
        """The command itself."""
        module, _, name = self._target.partition(":")
        found = getattr(import_module(module), name)
        if not isinstance(found, typer.Typer):
            alone = command_group("")
            alone.command(self.name)(found)
            found = alone
        command = get_command(found)
        command.name = self.name
        return command


class PlainGroup(TyperGroup):
    """A group that imports a command when it is called, and lists all with their whole line."""

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        """The command that is named, imported."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, LazyCommand) else command, rest

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """As a command's; then the group's commands."""
        _write_parameters(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Click's own cuts what commands do to a line of the terminal."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        lines = [(name, line_of(command)) for name, command in commands.items() if command]
        with formatter.section("Commands"):
            formatter.write_dl(lines)


class CommandGroup(typer.Typer):
    """A typer application as all groups of streamproc are."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """As typer's, of a command with plain help."""
        return super().command(name, **{"cls": PlainCommand, **options})


def command_group(
    line: str, commands: Mapping[str, tuple[str, str]] | None = None, **options: Any
) -> CommandGroup:
    """A group of commands.

    line:     what they are about
    commands: of those that are imported when asked for, the line and the target by name
    """
    return CommandGroup(
        cls=_group_of(commands or {}),
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help=line,
        no_args_is_help=not options.get("invoke_without_command", False),
        **{"add_completion": False, **options},
    )


def line_of(command: Command) -> str:
    """What a command does, in the first sentences of its help."""
    return command.short_help or " ".join((command.help or "").partition("\n\n")[0].split())


def _group_of(commands: Mapping[str, tuple[str, str]]) -> type[PlainGroup]:
    class Group(PlainGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            for name, (line, target) in commands.items():
                self.add_command(LazyCommand(name, line, target))

    return Group


def _write_parameters(command: Command, ctx: Context, formatter: HelpFormatter) -> None:
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is None:
            continue
        default = "Arguments" if parameter.param_type_name == "argument" else "Options"
        heading = getattr(parameter, "rich_help_panel", None) or default
        sections.setdefault(heading, []).append(record)
    for heading, records in sections.items():
        if records:
            with formatter.section(heading):
                formatter.write_dl(records)
