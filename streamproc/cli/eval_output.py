"""What an evaluation found: tables on the terminal, and the files that were asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import orjson

from streamproc.cli.tables import Cell, print_table
from streamproc.cli.terminal import TerminalConsole
from streamproc.clock import Clock
from streamproc.errors import OperatorError, SettingsError
from streamproc.logs.printable import printable
from streamproc.offline.evaluation.eval_result import EvalResult
from streamproc.offline.evaluation.plot import Plot
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.report import as_json, as_markdown
from streamproc.offline.evaluation.tables import notes, tables_of


def show_findings(findings: EvalResult, made: Provenance, console: TerminalConsole) -> None:
    """All tables; bold: the ensemble itself, and differences that are not by chance."""
    for number, table in enumerate(tables_of(findings, made)):
        if number:
            console.print()
        rows = [[Cell(cell.text, cell.strong) for cell in row] for row in table.rows]
        print_table(console, table.headings, rows)
    console.print()
    for line in (*notes(findings), made.line(findings)):
        console.print(printable(line))


@dataclass(frozen=True, slots=True)
class Files:
    """Where findings are to be written, each only where it is asked for.

    plots: the folder of PNG files, to which the Markdown links
    """

    json: Path | None = None
    markdown: Path | None = None
    html: Path | None = None
    plots: Path | None = None

    def require_drawing(self) -> None:
        """Raise OperatorError where plots are wanted and what draws them is not installed."""
        needed = ["matplotlib"] if self.plots else []
        needed += ["matplotlib", "jinja2"] if self.html else []
        for name in needed:
            if find_spec(name) is None:
                raise OperatorError(
                    f"--html and --plots need {name}, which is not installed: install "
                    "streamproc[evaluate]."
                )

    def write(self, findings: EvalResult, made: Provenance, clock: Clock) -> None:
        """Raises SettingsError when one can't be written."""
        plots: Sequence[Plot] = ()
        if self.plots or self.html:
            from streamproc.offline.evaluation.plots import plots_of

            plots = list(plots_of(findings, made))
        links = {}
        if self.plots:
            for plot in plots:
                path = self.plots / f"{plot.topic}.png"
                _write(path, plot.png)
                links[self._link(path)] = plot
        if self.json:
            figures = as_json(findings, made)
            _write(self.json, orjson.dumps(figures, option=orjson.OPT_INDENT_2) + b"\n")
        if self.markdown:
            _write(self.markdown, as_markdown(findings, made, links).encode())
        if self.html:
            from streamproc.offline.evaluation.page import as_html

            today = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).date()
            _write(self.html, as_html(findings, made, plots, today).encode())

    def _link(self, plot: Path) -> str:
        """From the Markdown to a plot."""
        folder = self.markdown.parent if self.markdown else Path()
        return Path(os.path.relpath(plot, folder)).as_posix()


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise SettingsError(f"can't write {path}: {error.strerror}") from None
