"""Every task through Kafka: answered in both lanes as it is without, bad requests told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streamproc.settings import read_settings
from tests.support.command import streamproc
from tests.support.small_ensembles import write_small_ensembles
from tests.support.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

LONG = "The good film, said Zoë 👩‍👩‍👧 in Łódź,\r\nwas bad. "
REQUESTS: dict[str, list[dict[str, Any]]] = {
    "token-classification": [
        {"text": LONG * 20},
        {"text": LONG, "params": {"aggregation": "average", "return_members": True}},
        {"text": ""},
    ],
    "question-answering": [
        {"question": "Who was good?", "context": LONG * 20},
        {"question": "Who?", "context": LONG, "params": {"top_k": 3, "return_members": True}},
        {"question": "Who?", "context": LONG, "params": {"handle_impossible_answer": True}},
    ],
    "translation": [
        {"text": f"One.\n\nTwo of it. {LONG}\n\nThree."},
        {"text": "One.", "params": {"num_beams": 1, "return_members": True}},
        {"text": "  \n"},
    ],
    "summarization": [
        {"text": f"One.\n\nTwo of it. {LONG * 8}\n\nThree."},
        # Short, as the translator's: beside longer ones, the last bits of tiny members differ.
        {"text": "One.", "params": {"truncate": True, "num_beams": 1, "return_members": True}},
        {"text": "  \n"},
    ],
    "text-generation": [
        {"text": "Once upon", "params": {"next_tokens": 3}},
        {"text": "Once upon", "params": {"do_sample": True, "seed": 7, "max_new_tokens": 40}},
        {"text": LONG * 20, "params": {"truncate": "start"}},
    ],
}
INVALID: dict[str, dict[str, Any]] = {
    "token-classification": {"text": "a", "params": {"aggregation": "sum"}},
    "question-answering": {"question": "", "context": "a"},
    "translation": {"text": "a", "params": {"num_beams": -1}},
    "summarization": {"text": "a", "params": {"max_length": 4, "max_new_tokens": 3}},
    "text-generation": {"text": LONG * 20},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_small_ensembles(root, REQUESTS)
    return root


@pytest.fixture(scope="module")
def settings(
    kafka: str, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Settings of commands that a worker of these tasks answers; the models decide which."""
    log = tmp_path_factory.mktemp("all-tasks") / "worker.log"
    worker = WorkerProcess(kafka, "all-tasks", log, {"MODELS_DIR": str(models)})
    worker.start()
    try:
        yield {"KAFKA_BOOTSTRAP_SERVERS": kafka}
        assert worker.exit_code is None, log.read_text("utf-8", "replace")[-2000:]
    finally:
        worker.stop()


@pytest.mark.parametrize("task", REQUESTS)
def test_a_task_answers_through_kafka_as_it_does_without(
    task: str, settings: dict[str, str], models: Path, tmp_path: Path
) -> None:
    asked = [*REQUESTS[task], INVALID[task]]
    file = tmp_path / "requests.jsonl"
    file.write_text(
        "".join(json.dumps({**body, "id": str(n)}) + "\n" for n, body in enumerate(asked)), "utf-8"
    )
    expected = rows(streamproc("run", file, "--task", task, "--models-dir", models))
    assert [row["status"] for row in expected] == ["ok", "ok", "ok", "error"]
    assert expected[-1]["error"]["type"] == "invalid"
    schema = json.loads(
        (read_settings().topics_dir / "schemas" / f"{task}.response.v1.json").read_text("utf-8")
    )
    for lane in ("interactive", "bulk"):
        found = rows(streamproc("submit", file, "--task", task, "--lane", lane, settings=settings))
        for row in found:
            jsonschema.validate(row, schema)
        assert [told(row) for row in found] == [told(row) for row in expected]


def rows(done: Any) -> list[dict[str, Any]]:
    assert done.returncode == 1, done.stderr
    assert "1 errors" in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(row: dict[str, Any]) -> dict[str, Any]:
    """All of a response but how long it took."""
    return {name: value for name, value in row.items() if name != "timing"}
