"""Ensembles that answer questions, from disk to answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import RobertaProcessing

from streamproc.errors import ModelRefused
from streamproc.repository.repository import Repository
from streamproc.serving.assembly import load_engine
from streamproc.serving.engine import Engine
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.tasks.catalogue import task_named
from streamproc.testing import (
    MemoryBroker,
    build_context,
    build_pipeline,
    build_record,
    build_route,
    tokenizer_json,
)
from tests.support.onnx_answerers import answerer
from tests.support.onnx_models import write_ensemble

TASK = "question-answering"


def roberta_tokenizer() -> bytes:
    library = Tokenizer.from_buffer(tokenizer_json())
    library.post_processor = RobertaProcessing(("[SEP]", 3), ("[CLS]", 2), add_prefix_space=False)
    return library.to_str().encode()  # type: ignore[no-any-return]


def load(
    root: Path,
    models: Sequence[bytes],
    executor: ModelExecutor,
    budget_tokens: int = 64,
    **written: Any,
) -> Engine:
    if not (root / "tiny").exists():
        write_ensemble(root / "tiny", models, labels=(), task=TASK, **written)
    context = build_context(executor, budget_tokens=budget_tokens)
    return load_engine(Repository(root).open("tiny"), task_named(TASK), Provider(CPU), context)


async def answers(engine: Engine, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The responses in the order of requests, all asked at once."""
    broker = MemoryBroker()
    pipeline = build_pipeline(broker, engine, route=build_route(task=TASK))
    records = [
        build_record({"id": str(number), **request}, offset=number)
        for number, request in enumerate(requests)
    ]
    await asyncio.gather(*map(pipeline, records))
    return sorted(broker.values("responses"), key=lambda response: int(response["id"]))


@pytest.mark.parametrize(
    ("types", "tokenizer"),
    [(2, tokenizer_json()), (0, roberta_tokenizer())],
    ids=["bert", "roberta"],
)
async def test_an_ensemble_on_disk_answers_with_all_its_members(
    tmp_path: Path, executor: ModelExecutor, types: int, tokenizer: bytes
) -> None:
    models = [answerer(types=types, seed=seed) for seed in (1, 2)]
    engine = load(tmp_path, models, executor, tokenizer=tokenizer)
    context = "the good film, " * 20

    (response,) = await answers(engine, [{"question": "the film", "context": context}])

    assert response["status"] == "ok"
    assert [member["name"] for member in response["members"]] == ["m0", "m1"]
    assert response["coverage"]["chunks"] > 1
    result = response["result"]
    assert context[result["start"] : result["end"]] == result["answer"] != ""


async def test_the_same_request_gets_the_same_result_whatever_it_is_batched_with(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    models = [answerer(seed=seed) for seed in (1, 2, 3)]
    requests = [
        {
            "question": "the film"[: 3 + number % 6],
            "context": "good bad the film a film, " * (1 + number % 7),
            "params": {"top_k": 5, "return_members": True, "handle_impossible_answer": True},
        }
        for number in range(20)
    ]

    together = await answers(load(tmp_path, models, executor, budget_tokens=4096), requests)
    alone = [
        (await answers(load(tmp_path, models, executor, budget_tokens=16), [request]))[0]
        for request in requests
    ]

    for one, other in zip(together, alone, strict=True):
        for part in ("result", "members", "agreement", "entropy", "coverage"):
            assert one[part] == other[part]


async def test_a_hostile_request_is_refused_and_its_neighbours_are_answered(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    good = {"question": "the film", "context": "good bad film"}
    hostile: list[dict[str, Any]] = [
        {"question": "", "context": "x"},
        {"question": "good " * 100_000, "context": "x"},
        {"question": "x", "context": {"a": 1}},
        {**good, "params": {"top_k": 10**15}},
        {**good, "params": {"max_answer_tokens": -1}},
        {**good, "params": {"combine": "vote"}},
    ]

    responses = await answers(load(tmp_path, [answerer()], executor), [*hostile, good])

    assert [response["status"] for response in responses] == ["error"] * len(hostile) + ["ok"]
    assert {response["error"]["type"] for response in responses[:-1]} == {"invalid"}


async def test_a_model_of_one_token_type_is_refused_where_pairs_have_two(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    with pytest.raises(ModelRefused, match="member m0 fails on a window of 16 tokens"):
        load(tmp_path, [answerer(types=1)], executor)


async def test_a_model_without_end_logits_is_refused(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    models = [answerer(outputs=("start_logits", "others"))]

    with pytest.raises(ModelRefused, match="an output 'end_logits'; found start_logits, others"):
        load(tmp_path, models, executor)


async def test_windows_without_room_for_a_question_are_refused(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    with pytest.raises(ModelRefused, match="windows are too short for question-answering"):
        load(tmp_path, [answerer()], executor, window=(8, 4))


async def test_an_ensemble_that_votes_is_refused(tmp_path: Path, executor: ModelExecutor) -> None:
    manifest = write_ensemble(tmp_path / "tiny", [answerer()], labels=(), task=TASK)
    text = manifest.read_text().replace("[window]", '[combine]\nstrategy = "vote"\n[window]')
    manifest.write_text(text)

    with pytest.raises(
        ModelRefused, match="combined by mean, logit_mean, weighted, gated; found vote"
    ):
        load(tmp_path, [], executor)


async def test_an_ensemble_with_labels_is_refused(tmp_path: Path, executor: ModelExecutor) -> None:
    write_ensemble(tmp_path / "tiny", [answerer()], task=TASK)

    with pytest.raises(ModelRefused, match="needs no labels; found"):
        load(tmp_path, [], executor)
