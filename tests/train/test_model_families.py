"""Every family of transformers that is listed answers as transformers' pipelines do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from streamproc.cli.importing import import_model
from streamproc.clock import SystemClock
from streamproc.errors import TrainingError
from streamproc.messages.record import Record
from streamproc.messages.request import read_request
from streamproc.offline.importing.families import FAMILIES
from streamproc.settings import read_settings
from streamproc.testing import build_record
from streamproc.worker import local_pipeline
from tests.support.model_families import ask_pipeline, has_head, save_model

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("logs_stay")]
pytest.importorskip("optimum")

TEXTS = ("the good film", "bad film, the bad film!", "a film the film the good.", "x")
CONTEXT = "the good film, the bad film. a bad end."
EQUAL = [(family.model_type, task) for family in FAMILIES for task in family.served]
# One of each way that a family is exported and read.
A_FEW = {
    ("deberta-v2", "token-classification"),
    ("gpt2", "text-classification"),
    ("llama", "text-classification"),
    ("bart", "text-classification"),
    ("bloom", "text-generation"),
    ("gemma", "text-generation"),
    ("t5", "translation"),
    ("pegasus", "summarization"),
}
_TEXT_KEYS = {
    "text-generation": "generated_text",
    "translation": "translation_text",
    "summarization": "summary_text",
}
app = typer.Typer()
app.command()(import_model)


@pytest.mark.parametrize(
    ("model_type", "task"),
    [
        pytest.param(*one, id="-".join(one), marks=() if one in A_FEW else pytest.mark.nightly)
        for one in EQUAL
    ],
)
def test_a_family_answers_as_its_pipeline(model_type: str, task: str, tmp_path: Path) -> None:
    source = save_model(model_type, task, tmp_path / "source")

    arguments = [str(source), "--ensemble=mine", f"--out={tmp_path / 'models'}", f"--task={task}"]
    done = CliRunner().invoke(app, [*arguments, "--window=64"], catch_exceptions=False)

    assert done.exit_code == 0, done.output
    requests = requests_of(task)
    found = asyncio.run(answered(tmp_path / "models", task, requests))
    for request, result in zip(requests, found, strict=True):
        require_equal(task, result, ask_pipeline(model_type, task, source, request))


def requests_of(task: str) -> list[dict[str, Any]]:
    if task == "question-answering":
        return [{"question": text, "context": CONTEXT} for text in TEXTS]
    if task not in _TEXT_KEYS:
        return [{"text": text} for text in TEXTS]
    greedy = {"num_beams": 1} if task == "summarization" else {}
    params = {"max_new_tokens": 12, **greedy}
    return [{"text": text, "params": params} for text in TEXTS]


async def answered(models: Path, task: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A worker's answers, all asked at once."""
    settings = read_settings(models_dir=str(models), device="cpu", threads="1")
    async with local_pipeline(settings, task, "mine", SystemClock()) as pipeline:

        async def ask(request: dict[str, Any]) -> dict[str, Any]:
            record: Record = build_record(request)
            response = await pipeline.answer(record, read_request(record, 2**20))
            assert response is not None
            assert response.status == "ok", response.error
            result: dict[str, Any] = json.loads(json.dumps(response.result))
            return result

        return list(await asyncio.gather(*map(ask, requests)))


def require_equal(task: str, result: dict[str, Any], expected: Any) -> None:
    if task == "text-classification":
        by_label = {said["label"]: said["score"] for said in expected}
        assert result["scores"] == pytest.approx(by_label, abs=1e-4)
    elif task == "token-classification":
        keys = ("entity_group", "start", "end")
        found = [[entity[key] for key in keys] for entity in result["entities"]]
        assert found == [[entity[key] for key in keys] for entity in expected]
        scores = [entity["score"] for entity in expected]
        assert [entity["score"] for entity in result["entities"]] == pytest.approx(scores, abs=1e-4)
    elif task == "question-answering":
        assert [result[key] for key in ("start", "end")] == [expected["start"], expected["end"]]
        assert result["score"] == pytest.approx(expected["score"], abs=1e-4)
    else:
        key = _TEXT_KEYS[task]
        # Random bytes are no text: how much of a character that was not finished is shown differs.
        assert result[key].rstrip("\ufffd") == expected[key].rstrip("\ufffd")
        assert expected[key]


def test_every_head_of_a_listed_family_is_served_or_refused() -> None:
    for family in FAMILIES:
        for task in (*family.served, *family.refused):
            assert has_head(family.model_type, task), (family.name, task)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("model_type", "task"),
    [(family.model_type, task) for family in FAMILIES for task in family.refused],
)
def test_what_is_refused_can_not_be_exported_still(
    model_type: str, task: str, tmp_path: Path
) -> None:
    from streamproc.offline.training.hugging_face import export_folder

    source = save_model(model_type, task, tmp_path / "source")
    (tmp_path / "exported").mkdir()
    with pytest.raises(TrainingError):
        export_folder(source, task, tmp_path / "exported")
