"""What a load found: on the terminal, and in the files that were asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from streamproc.cli.output_file import (
    require_libraries,
    require_writable,
    write_json,
    write_output,
)
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import TerminalConsole

if TYPE_CHECKING:
    from streamproc.offline.load.plan import LoadPlan
    from streamproc.offline.load.recording import StepResult
    from streamproc.offline.load.report import LoadReport


INTERRUPTED = 130


def show_step(plan: LoadPlan, console: TerminalConsole) -> Callable[[StepResult], None]:
    """What tells a step in a line when it has ended."""
    from streamproc.offline.load.report import step_line

    return lambda step: console.print(step_line(plan, step))


def show_load(report: LoadReport, console: TerminalConsole) -> None:
    """All tables, and what they come to."""
    from streamproc.offline.load.report import tables_of

    for table in tables_of(report):
        print_table(console, table.headings, table.rows, numbers=table.numbers)
        console.print()
    for line in (*report.notes(), report.verdict):
        if line:
            console.print(line)


def exit_code(report: LoadReport) -> int:
    """1 where no step kept all objectives, or without any where a step has errors or no request."""
    if report.interrupted:
        return INTERRUPTED
    if report.plan.objectives:
        return int(report.saturation.kept is None)
    return int(any(step.all.errors or not step.all.asked for step in report.steps))


@dataclass(frozen=True, slots=True)
class LoadFiles:
    """Where the report is to be written, each only where it is asked for.

    plots: the folder of load.png
    """

    json: Path | None
    html: Path | None
    plots: Path | None

    def require_libraries(self) -> None:
        """Raise OperatorError where a library of the extra is missing."""
        drawing = ("matplotlib", "PIL", "jinja2") if self.html or self.plots else ()
        require_libraries("hdrh", *drawing, needed_by="load needs", extra="load")

    def require_places(self) -> None:
        """Raise SettingsError where a file can't be written, before minutes are spent for it."""
        require_writable(self.json, self.html, self.plots and self.plots / "load.png")

    def write(self, report: LoadReport) -> None:
        """Raises SettingsError when one can't be written."""
        from streamproc.offline.load.report import as_html, as_json

        if self.json:
            write_json(self.json, as_json(report))
        if not (self.html or self.plots):
            return
        from streamproc.offline.load.plots import load_plot

        plot = load_plot(report)
        if self.plots:
            write_output(self.plots / "load.png", plot[1])
        if self.html:
            write_output(self.html, as_html(report, [plot]).encode())
