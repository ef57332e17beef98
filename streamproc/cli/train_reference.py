"""docs/train-options.md: every option of `streamproc train`, as the command itself has them.

`python -m streamproc.cli.train_reference` writes it; `make docs` does so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from streamproc.cli.train import train

PAGE = Path("docs/train-options.md")


def page() -> str:
    """The page, in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Options of `streamproc train`"
    yield ""
    yield (
        "Made by `make docs` of `streamproc/offline/training/options.py`. A run's `run.toml` has "
        "the options under `[arguments]`, by the same names with underscores. What a run is, and "
        "how one is resumed: [training](training.md)."
    )
    app = typer.Typer(add_completion=False)
    app.command()(train)
    sections: dict[str, list[Any]] = {}
    for option in get_command(app).params:
        heading = getattr(option, "rich_help_panel", None) or "This start"
        sections.setdefault(heading, []).append(option)
    # What does not belong to the run comes last.
    for heading in sorted(sections, key=lambda one: one == "This start"):
        yield from ("", f"## {heading}", "", "| option | default | |", "|---|---|---|")
        for option in sections[heading]:
            names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
            yield f"| {names} | {_default(option)} | {option.help}{_bounds(option)} |"


def _default(option: Any) -> str:
    if option.required:
        return "required"
    shown = option.default is not None and not option.is_flag and option.default != ""
    return f"`{option.default}`" if shown else ""


def _bounds(option: Any) -> str:
    least, most = option.min, option.max
    if most is not None:
        return f"; {least} to {most}"
    return f"; at least {least}" if least else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
