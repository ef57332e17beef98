"""The application: quick to ask, the same words everywhere, an end that says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from streamproc.cli import app as application
from streamproc.cli.app import COMMANDS, app, main
from streamproc.cli.lazy import LazyCommand, line_of
from streamproc.errors import BrokerUnavailable, SettingsError
from streamproc.offline.evaluation.intervals import DRAWS

# What takes long to import, or is only for some commands.
HEAVY = ("onnxruntime", "faust", "aiokafka", "numpy", "torch", "tokenizers", "streamproc.settings")
# What only a command that runs has use for.
RUNNING = (
    *("onnxruntime", "faust", "aiokafka", "numpy", "torch", "tokenizers", "transformers", "onnx"),
    *("aiohttp", "prometheus_client", "yaml", "streamproc.request_pipeline", "streamproc.kafka"),
)
# typer's own completion imports these two.
LIGHTER = ("pydantic", "rich")


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that can be run, by what is typed for it, imported."""
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        loaded = command.load()
        yield name, loaded
        for below, one in getattr(loaded, "commands", {}).items():
            yield f"{name} {below}", one


ALL = dict(commands())


@pytest.mark.parametrize(
    ("what", "completing", "unneeded"),
    [
        ("main(['--help'])", "", HEAVY + LIGHTER),
        ("main(['-h'])", "", HEAVY + LIGHTER),
        ("main(['--version'])", "", HEAVY + LIGHTER),
        ("main([])", "complete_zsh", HEAVY),
        ("import streamproc", "", HEAVY + LIGHTER),
    ],
)
def test_asking_what_there_is_imports_nothing_heavy(
    what: str, completing: str, unneeded: tuple[str, ...]
) -> None:
    program = (
        "import atexit, sys\n"
        f"tell = lambda: sys.stderr.write(repr(sorted(set(sys.modules) & {set(unneeded)!r})))\n"
        "atexit.register(tell)\n"
        f"from streamproc.cli import main\n{what}\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ
        | {"_STREAMPROC_COMPLETE": completing, "_TYPER_COMPLETE_ARGS": "streamproc "},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr.endswith("[]"), done.stderr


def test_help_of_a_command_imports_nothing_that_only_running_it_needs() -> None:
    program = (
        "import sys\n"
        "from streamproc.cli import main\n"
        f"for name in {list(ALL)!r}:\n"
        "    try:\n"
        "        main([*name.split(), '-h'])\n"
        "    except SystemExit:\n"
        f"        print(name, sorted(set(sys.modules) & {set(RUNNING)!r}), file=sys.stderr)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert done.stderr.splitlines() == [f"{name} []" for name in ALL]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_that_is_known_beforehand_is_the_commands_own(name: str) -> None:
    line, _ = COMMANDS[name]

    assert line_of(ALL[name]) == line


def test_every_command_is_imported_only_when_it_is_called() -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]

    assert {type(command) for command in known.values()} == {LazyCommand}
    assert list(known) == list(COMMANDS)


@pytest.mark.parametrize("width", ["60", "80"])
@pytest.mark.parametrize("name", ["", *ALL])
def test_help_is_plain_whole_and_fits(
    name: str, width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", width)

    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "-h"])

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "…" not in shown.replace("PARTITION/SPLIT", "")
    assert not {"│", "╭", "\x1b"} & set(shown)
    for parameter in ALL[name].params if name else ():
        for option in parameter.opts:
            assert option in shown
    # A word that is longer than the terminal is wide is not broken.
    assert all(len(line) <= int(width) or len(line.split()) <= 2 for line in shown.splitlines())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_STREAMPROC_COMPLETE", f"source_{shell}")
    with pytest.raises(SystemExit):
        main([])
    assert "_STREAMPROC_COMPLETE=complete_" in capsys.readouterr().out

    def completed(line: str) -> str:
        monkeypatch.setenv("_STREAMPROC_COMPLETE", f"complete_{shell}")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
        with pytest.raises(SystemExit):
            main([])
        return capsys.readouterr().out

    assert "fit-ensemble" in completed("streamproc f")
    assert "replay" in completed("streamproc dlq re")
    assert "--web-port" in completed("streamproc worker --web")
    assert "unreadable" in completed("streamproc dlq list --type un")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (SettingsError("no place called \x1b]0;x\x07[bold]"), 2, r"called \x1b]0;x\x07[bold]"),
        (BrokerUnavailable("Kafka is away"), 1, "Kafka is away"),
        (ZeroDivisionError("a text of a user"), 70, "internal error: ZeroDivisionError at"),
    ],
)
def test_an_error_is_a_line_and_an_exit_code(
    error: Exception,
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(application, "app", fail)

    with pytest.raises(SystemExit) as ended:
        main(["models", "list"])

    shown = capsys.readouterr().err
    assert ended.value.code == code
    assert shown.count("\n") == 1
    assert told in shown
    assert "a text of a user" not in shown


def test_the_traceback_of_an_internal_error_is_shown_to_who_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(application, "app", fail)
    monkeypatch.setenv("STREAMPROC_LOG_LEVEL", "debug")

    with pytest.raises(SystemExit):
        main([])

    assert "Traceback" in capsys.readouterr().err


def test_draws_of_evaluate_are_those_of_the_bootstrap() -> None:
    [draws] = [one for one in ALL["evaluate"].params if one.name == "draws"]

    assert draws.default == DRAWS
