"""What an evaluation found: tables on the terminal, and the files that were asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from streamproc.cli.output_file import (
    require_libraries,
    require_writable,
    write_json,
    write_output,
)
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import TerminalConsole
from streamproc.clock import Clock
from streamproc.logs.printable import printable
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.report import as_html, as_json, as_markdown
from streamproc.offline.evaluation.result_tables import Plot, notes, tables_of
from streamproc.offline.evaluation.results import EvalResults


def show_results(results: EvalResults, provenance: Provenance, console: TerminalConsole) -> None:
    """All tables; bold: the ensemble itself, and differences that are not by chance."""
    for number, table in enumerate(tables_of(results, provenance)):
        if number:
            console.print()
        print_table(console, table.headings, table.rows)
    console.print()
    for line in (*notes(results), provenance.line(results)):
        console.print(printable(line))


@dataclass(frozen=True, slots=True)
class OutputFiles:
    """Where results are to be written, each only where it is asked for.

    plots: the folder of PNG files, to which the Markdown links
    """

    json: Path | None = None
    markdown: Path | None = None
    html: Path | None = None
    plots: Path | None = None

    def require_libraries(self) -> None:
        """Raise OperatorError where plots are wanted and what draws them is not installed."""
        if self.html or self.plots:
            drawing = ("matplotlib", *(("jinja2",) if self.html else ()))
            require_libraries(*drawing, needed_by="--html and --plots need", extra="evaluate")

    def require_places(self) -> None:
        """Raise SettingsError where a file can't be written."""
        plot = self.plots and self.plots / "measures.png"
        require_writable(self.json, self.markdown, self.html, plot)

    def write(self, results: EvalResults, provenance: Provenance, clock: Clock) -> None:
        """Raises SettingsError when one can't be written."""
        plots: Sequence[Plot] = ()
        if self.plots or self.html:
            from streamproc.offline.evaluation.result_plots import plots_of

            plots = list(plots_of(results, provenance))
        links = {}
        if self.plots:
            for plot in plots:
                path = self.plots / f"{plot.section}.png"
                write_output(path, plot.png)
                links[self._link(path)] = plot
        if self.json:
            write_json(self.json, as_json(results, provenance))
        if self.markdown:
            write_output(self.markdown, as_markdown(results, provenance, links).encode())
        if self.html:
            today = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).date()
            write_output(self.html, as_html(results, provenance, plots, today).encode())

    def _link(self, plot: Path) -> str:
        """From the Markdown to a plot."""
        folder = self.markdown.parent if self.markdown else Path()
        return Path(os.path.relpath(plot, folder)).as_posix()
