"""What an experiment has found: on the terminal, and in the files that were asked for."""

from __future__ import annotations

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
    from streamproc.offline.experiments.report import ExperimentReport


def show_report(report: ExperimentReport, console: TerminalConsole) -> None:
    """What it comes to, what to beware of, and all tables."""
    from streamproc.offline.experiments.report import tables_of

    console.print(report.title)
    console.print()
    for warning in report.warnings():
        console.print(f"! {warning}")
    for table in tables_of(report):
        console.print(table.title)
        print_table(console, table.headings, table.rows, numbers=table.numbers)
        console.print()
    for note in report.notes():
        console.print(note)
    console.print(f"{report.verdict}.")


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Where the report is to be written, each only where it is asked for."""

    json: Path | None
    html: Path | None
    plot: Path | None

    def require_libraries(self) -> None:
        """Raise OperatorError where a library of the extra is missing."""
        if self.html or self.plot:
            drawing = ("matplotlib", "PIL", "jinja2")
            require_libraries(*drawing, needed_by="--html and --plot need", extra="evaluate")

    def require_places(self) -> None:
        """Raise SettingsError where a file can't be written."""
        require_writable(self.json, self.html, self.plot)

    def write(self, report: ExperimentReport) -> None:
        """Raises SettingsError when one can't be written."""
        from streamproc.offline.experiments.report import as_html, as_json

        if self.json:
            write_json(self.json, as_json(report))
        if not (self.html or self.plot):
            return
        from streamproc.offline.experiments.plots import experiment_plot

        plot = experiment_plot(report)
        if self.plot:
            write_output(self.plot, plot[1])
        if self.html:
            write_output(self.html, as_html(report, [plot]).encode())
