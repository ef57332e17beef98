"""Findings as one HTML page that needs no other file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import date

from jinja2 import Environment, PackageLoader, StrictUndefined

from streamproc.offline.evaluation.eval_result import EvalResult
from streamproc.offline.evaluation.plot import Plot
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.tables import Topic, notes, tables_of

_TEMPLATE = "page.html.jinja"


def as_html(findings: EvalResult, made: Provenance, plots: Sequence[Plot], on: date) -> str:
    """Tables, plots, and what it takes to make them again; on: the day of it"""
    tables = tables_of(findings, made)
    headings: dict[Topic, str] = {
        "measures": "Contenders",
        "calibration": "Confidence",
        "agreement": "Agreement of members",
        "groups": f"By {findings.by}",
    }
    sections = [
        (
            heading,
            [table for table in tables if table.topic == topic],
            [(plot, b64encode(plot.png).decode()) for plot in plots if plot.topic == topic],
        )
        for topic, heading in headings.items()
    ]
    stored = [row.contender.stored for row in findings.rows if row.contender.role != "member"]
    manifest = stored[0].manifest
    environment = Environment(
        loader=PackageLoader("streamproc.offline.evaluation", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(
        title=f"{manifest.name}: {manifest.task}",
        description=manifest.description,
        sections=[section for section in sections if any(section[1:])],
        notes=notes(findings),
        summary=made.summary(findings),
        made=made,
        date=on.isoformat(),
        manifests=dict.fromkeys((one.manifest.name, one.digest) for one in stored),
        files=zip(made.data, made.digests, strict=True),
    )
