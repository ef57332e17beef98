"""The Python on docs/python.md runs, in the order of the page."""

from __future__ import annotations

import re
from typing import Any

import pytest

from streamproc.errors import StreamprocError
from tests.support.command import ROOT

PAGE = (ROOT / "docs" / "python.md").read_text("utf-8")
# These need what is not installed here, or a cluster.
ELSEWHERE = ("import ray", "import daft", "pyspark")


def test_what_the_page_shows_runs_and_fails_as_it_says() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    run = [block for block in blocks if not any(name in block for name in ELSEWHERE)]
    scope: dict[str, Any] = {}

    for block in run:
        said = re.search(r"^# (\w+Error): (.*?) \.\.\.$", block, re.MULTILINE)
        if said is None:
            exec(block, scope)  # noqa: S102 - our own page
            continue
        with pytest.raises(StreamprocError, match=re.escape(said[2])):
            exec(block, scope)  # noqa: S102

    assert len(run) == 3
    assert scope["ask"].task == "question-answering"
    scope["score"].close()
    for name in ("ask", "mood", "people"):
        scope[name].close()
