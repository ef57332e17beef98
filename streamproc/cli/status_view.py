"""The picture of a group on a terminal of 80 columns, and plain through a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from streamproc.cli.terminal import TerminalConsole
from streamproc.logs.printable import printable
from streamproc.status.ensemble_rows import EnsembleRow
from streamproc.status.overview import Overview, SourceRow, Strip, WorkerRow
from streamproc.status.wording import amount, duration, percent, size

Row = Sequence[str | Text]


def print_overview(console: TerminalConsole, overview: Overview) -> None:
    """Print it once."""
    console.print(drawn(overview))


def drawn(overview: Overview, *, quiet: bool = True, members: bool = True) -> Group:
    """The strip, notes, and a table each for topics, ensembles and workers.

    quiet: topics too that nothing waits in and nothing comes by
    members: those of ensembles too
    """
    return Group(*_parts(overview, quiet=quiet, members=members))


def fitted(console: Console, overview: Overview) -> RenderableType:
    """The same with as much of it as the terminal has lines for; what is left out is counted."""
    for quiet, members in ((True, True), (False, True), (False, False)):
        picture = drawn(overview, quiet=quiet, members=members)
        lines = console.render_lines(picture, pad=False, new_lines=True)
        if len(lines) <= console.height:
            return picture
    shown = lines[: max(0, console.height - 1)]
    more = f"… {len(lines) - len(shown)} lines more: make the terminal higher, or ask --json"
    return Group(Segments([one for line in shown for one in line]), Text(more, "yellow"))


def _parts(overview: Overview, *, quiet: bool, members: bool) -> Iterator[RenderableType]:
    yield _strip(overview.strip)
    for note in overview.notes:
        yield Text(f"! {printable(note)}", "yellow")
    if overview.other_groups:
        others = ", ".join(map(printable, overview.other_groups))
        group = printable(overview.group)
        yield Text(f"group {group}; others with workers: {others} (--group-id)", "dim")
    sources = [row for row in overview.sources if quiet or not _is_quiet(row)]
    left = len(overview.sources) - len(sources)
    # Of requests whose caller has gone; where there are none, eighty characters are few enough.
    cancels = any(row.cancelled for row in sources)
    yield from _table(
        f"topics but {left} quiet" if left else "topics",
        (
            *("req/s", "p50 ms", "p99 ms", "waiting", "oldest", "clear", "errors"),
            *(("gone",) if cancels else ()),
        ),
        (_source(row, cancels=cancels) for row in sources),
    )
    if left and not sources:
        yield ""
        yield Text(f"{left} topics, all quiet", "dim")
    yield from _table(
        "ensembles",
        ("version", "late", "failed", "agree", "ms/1,000 tokens"),
        (row for one in overview.ensembles for row in _ensemble(one, members=members)),
    )
    yield from _table(
        "workers",
        ("state", "up", "cores", "memory", "device", "in flight"),
        map(_worker, overview.workers),
    )
    for worker in overview.workers:
        for reason in () if worker.ready else worker.reasons:
            yield Padding(Text(f"{printable(worker.worker)}: {printable(reason)}", "yellow"))


def _strip(strip: Strip) -> Table:
    """Five figures side by side, each over what it is."""
    figures = (
        (f"{strip.ready} of {strip.workers}", "workers ready", strip.ready < max(1, strip.workers)),
        (amount(strip.per_s), "requests a second", False),
        (duration(strip.oldest_ms), f"oldest of {amount(strip.waiting)}", False),
        (
            "never" if strip.clear_s is None else duration(strip.clear_s * 1000),
            "to clear backlog",
            strip.clear_s is None,
        ),
        (percent(strip.error_share), "errors", bool(strip.error_share)),
    )
    grid = Table.grid(padding=(0, 3, 0, 0))
    for _ in figures:
        grid.add_column(no_wrap=True)
    grid.add_row(*(Text(shown, "bold red" if bad else "bold") for shown, _, bad in figures))
    grid.add_row(*(Text(what, "dim") for _, what, _ in figures))
    return grid


def _table(name: str, headings: Sequence[str], rows: Iterable[Row]) -> Iterator[RenderableType]:
    found = list(rows)
    if not found:
        return
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    table.add_column(name, no_wrap=True, overflow="ellipsis", header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in found:
        table.add_row(*(cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row))
    yield ""
    yield table


def _source(row: SourceRow, *, cancels: bool) -> Row:
    name = f"{row.name} bulk" if row.lane == "bulk" and row.route is None else row.name
    served = "" if row.workers else "dim"
    clear = "never" if row.clear_s is None else duration(row.clear_s * 1000)
    count = sum(row.errors.values())
    return (
        Text(printable(f"route {name}" if row.route else name), served),
        amount(row.per_s) if row.workers else Text("idle", "dim"),
        _or_dash(row.p50_ms),
        _or_dash(row.p99_ms),
        Text(amount(row.waiting), "yellow" if row.clear_s is None else ""),
        duration(row.oldest_ms),
        Text(clear if row.waiting else "–", "red" if row.clear_s is None else ""),
        Text(amount(count), "red" if row.errors_per_s else ""),
        *((amount(row.cancelled),) if cancels else ()),
    )


def _is_quiet(row: SourceRow) -> bool:
    return not (row.per_s or row.waiting or row.errors_per_s)


def _ensemble(ensemble: EnsembleRow, *, members: bool) -> Iterator[Row]:
    fill = f"fill {percent(ensemble.batch_fill)}" if ensemble.batch_fill is not None else ""
    rate = f"{amount(ensemble.tokens_per_s)} tokens/s"
    differ = len(ensemble.versions) > 1
    version = Text(printable(" / ".join(ensemble.versions)), "red" if differ else "bold")
    yield (Text(printable(ensemble.name), "bold"), version, "", "", fill, Text(rate, "dim"))
    for member in ensemble.members if members else ():
        differ = len(member.versions) > 1
        yield (
            f"  {member.name}",
            Text(printable(" / ".join(member.versions)), "red" if differ else ""),
            Text(amount(member.late), "red" if member.late else ""),
            Text(amount(member.failed), "red" if member.failed else ""),
            percent(member.agreement),
            _or_dash(member.ms_per_1000_tokens),
        )


def _worker(worker: WorkerRow) -> Row:
    machine = worker.machine
    if worker.stale:
        state = Text(f"silent {duration(worker.silent_s * 1000)}", "red")
    else:
        state = Text("ready", "green") if worker.ready else Text("not ready", "yellow")
    device = machine.device
    if machine.device_used_bytes is not None:
        device = f"{device} {size(machine.device_used_bytes)}"
    return (
        worker.worker,
        state,
        duration(worker.up_s * 1000),
        "–" if machine.cpu is None else f"{machine.cpu:.2f}",
        size(machine.resident_bytes),
        device,
        size(sum(worker.in_flight_bytes.values())),
    )


def _or_dash(value: float | None) -> str:
    return "–" if value is None else amount(value)
