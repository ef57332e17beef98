"""A file answered by models in this process."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import orjson

from streamproc.cli.answered_file import AnsweredFile, AnswerLine
from streamproc.cli.answering import asking
from streamproc.cli.interruption import interruptible
from streamproc.cli.rows import RequestRow
from streamproc.errors import OperatorError, WorkerFault
from streamproc.messages.json_spans import on_one_line
from streamproc.repository.repository import MANIFEST
from streamproc.settings import Settings
from streamproc.worker import local_pipeline

# Documents take turns: of a thousand large ones none would be answered for minutes. These make
# enough chunks to group by length.
_OUTSTANDING_BYTES = 512 << 10


def digest_of_manifests(models_dir: Path) -> str:
    """Changes when any ensemble there does: answers of others are not taken up after that."""
    found = hashlib.sha256()
    for path in sorted(models_dir.glob(f"*/{MANIFEST}")):
        with suppress(OSError):  # told when the ensemble is loaded
            found.update(path.read_bytes())
    return found.hexdigest()


async def answer_here(
    settings: Settings,
    answered: AnsweredFile,
    source: str,
    task: str,
    ensemble: str | None,
    outstanding: int,
) -> None:
    """Load models and ask them every row; raises OperatorError, Interrupted.

    source: where the rows come from, as it is told
    """
    with interruptible():
        async with local_pipeline(settings, task, ensemble, answered.clock) as pipeline:
            ask_pipeline = asking(pipeline, settings, answered.clock, source)

            async def ask(row: RequestRow) -> AnswerLine:
                response = await ask_pipeline(row)
                written = orjson.dumps({**response, "id": orjson.Fragment(row.id_json)})
                return AnswerLine(row, response, on_one_line(written))

            try:
                await answered.answer(ask, outstanding, _OUTSTANDING_BYTES)
            except WorkerFault as fault:
                raise OperatorError(f"the models can't run: {fault}") from None
