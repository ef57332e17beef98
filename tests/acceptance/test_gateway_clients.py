"""Clients that people have, unmodified, against the gateway: their answers are those of Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import tritonclient.http as triton
from huggingface_hub import InferenceClient, QuestionAnsweringOutputElement
from huggingface_hub.errors import HfHubHTTPError
from tritonclient.utils import InferenceServerException

from streamproc.kafka.client import RequestClient
from tests.support.small_ensembles import SMALL
from tests.support.ways_in import WaysIn

pytestmark = pytest.mark.kafka
TEXT = "Ada wrote to Paris about a lovely film. Nobody in London had seen it."
QUESTION = {"question": "Who wrote?", "context": TEXT}


async def over_kafka(ways_in: WaysIn, task: str, body: dict[str, Any]) -> dict[str, Any]:
    """The result that a client of Kafka gets."""
    async with RequestClient.of_task(ways_in.settings, task) as client:
        response = await client.ask(body)
    assert response["status"] == "ok", response
    return response["result"]


def hugging_face(ways_in: WaysIn, task: str) -> InferenceClient:
    return InferenceClient(model=f"{ways_in.address}/models/{SMALL[task]}", timeout=60)


@pytest.fixture
def open_ai(ways_in: WaysIn) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{ways_in.address}/v1", api_key="none", max_retries=0, timeout=60
    ) as client:
        yield client


@pytest.fixture
def tensors(ways_in: WaysIn) -> Iterator[triton.InferenceServerClient]:
    client = triton.InferenceServerClient(ways_in.address.removeprefix("http://"))
    yield client
    client.close()


async def test_hugging_face_text_classification(ways_in: WaysIn) -> None:
    client = hugging_face(ways_in, "text-classification")
    expected = await over_kafka(ways_in, "text-classification", {"text": TEXT})

    found = client.text_classification(TEXT)
    best = client.text_classification(TEXT, top_k=1)

    assert {one.label: one.score for one in found} == expected["scores"]
    assert [(one.label, one.score) for one in best] == [(expected["label"], expected["score"])]


async def test_hugging_face_token_classification(ways_in: WaysIn) -> None:
    client = hugging_face(ways_in, "token-classification")
    body = {"text": TEXT, "params": {"aggregation": "first", "ignore_labels": []}}
    expected = await over_kafka(ways_in, "token-classification", body)

    found = client.token_classification(TEXT, aggregation_strategy="first", ignore_labels=[])

    assert expected["entities"]
    assert [
        {name: one[name] for name in ("entity_group", "score", "word", "start", "end")}
        for one in found
    ] == expected["entities"]


async def test_hugging_face_question_answering(ways_in: WaysIn) -> None:
    client = hugging_face(ways_in, "question-answering")
    body = {**QUESTION, "params": {"max_answer_tokens": 3, "top_k": 2}}
    expected = await over_kafka(ways_in, "question-answering", body)

    question, context = QUESTION["question"], QUESTION["context"]
    one = client.question_answering(question, context, max_answer_len=3)
    two = client.question_answering(question, context, max_answer_len=3, top_k=2)

    best = {name: expected[name] for name in ("answer", "score", "start", "end")}
    assert isinstance(one, QuestionAnsweringOutputElement)
    assert isinstance(two, list)
    assert {name: one[name] for name in best} == best
    assert [{name: each[name] for name in best} for each in two] == expected["answers"]


@pytest.mark.parametrize("beams", [1, 2])
async def test_hugging_face_translation(ways_in: WaysIn, beams: int) -> None:
    client = hugging_face(ways_in, "translation")
    body = {"text": TEXT, "params": {"num_beams": beams}}
    expected = await over_kafka(ways_in, "translation", body)

    found = client.translation(TEXT, generate_parameters={"num_beams": beams})

    assert found.translation_text == expected["translation_text"]


async def test_hugging_face_summarization(ways_in: WaysIn) -> None:
    client = hugging_face(ways_in, "summarization")
    expected = await over_kafka(ways_in, "summarization", {"text": TEXT})

    assert client.summarization(TEXT).summary_text == expected["summary_text"]


async def test_hugging_face_text_generation(ways_in: WaysIn) -> None:
    client = hugging_face(ways_in, "text-generation")
    params = {"max_new_tokens": 7, "do_sample": True, "temperature": 0.8, "seed": 5}
    expected = await over_kafka(ways_in, "text-generation", {"text": "abc", "params": params})

    found = client.text_generation("abc", max_new_tokens=7, temperature=0.8, seed=5)
    whole = client.text_generation(
        "abc", max_new_tokens=7, temperature=0.8, seed=5, return_full_text=True
    )

    assert found == expected["generated_text"]
    assert whole == "abc" + found


def test_hugging_face_is_told_what_is_wrong(ways_in: WaysIn) -> None:
    with pytest.raises(HfHubHTTPError) as refused:
        hugging_face(ways_in, "text-classification").text_classification(
            TEXT, function_to_apply="sigmoid"
        )
    assert refused.value.response is not None
    assert refused.value.response.status_code == 422
    assert "softmax" in refused.value.response.json()["error"]

    unknown = InferenceClient(model=f"{ways_in.address}/models/sentimnt", timeout=60)
    with pytest.raises(HfHubHTTPError) as missing:
        unknown.text_classification(TEXT)
    assert missing.value.response is not None
    assert "did you mean 'sentiment'" in missing.value.response.json()["error"]


async def test_classify_as_vllm_has_it(ways_in: WaysIn) -> None:
    texts = [TEXT, "a terrible film"]
    expected = [await over_kafka(ways_in, "text-classification", {"text": text}) for text in texts]
    async with httpx.AsyncClient(base_url=ways_in.address, timeout=60) as http:
        body = {"model": SMALL["text-classification"], "input": texts}
        answer = (await http.post("/v1/classify", json=body)).json()
        alone = (await http.post("/v1/classify", json={"input": TEXT})).json()

    assert answer["object"] == "list"
    assert answer["model"] == SMALL["text-classification"]
    for index, (found, result) in enumerate(zip(answer["data"], expected, strict=True)):
        assert found["index"] == index
        assert found["label"] == result["label"]
        assert found["num_classes"] == len(found["probs"]) == len(result["scores"])
        # In the order of the manifest's labels, which these ensembles name so.
        assert found["probs"] == [result["scores"][name] for name in ("negative", "positive")]
    assert alone["data"] == answer["data"][:1]


async def test_open_ai_completions(ways_in: WaysIn, open_ai: openai.OpenAI) -> None:
    greedy = {"max_new_tokens": 9, "do_sample": False, "stop": ["\n\n"]}
    drawn = {"max_new_tokens": 9, "do_sample": True, "temperature": 0.7, "top_p": 0.9, "seed": 3}
    task, model = "text-generation", SMALL["text-generation"]

    first = open_ai.completions.create(
        model=model, prompt=["abc", "xyz"], max_tokens=9, temperature=0, stop="\n\n"
    )
    second = open_ai.completions.create(
        model=model, prompt="abc", max_tokens=9, temperature=0.7, top_p=0.9, seed=3
    )

    usage = first.usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 0 < usage.completion_tokens <= 2 * 9
    assert usage.prompt_tokens >= 2
    for choice, prompt in zip(first.choices, ("abc", "xyz"), strict=True):
        expected = await over_kafka(ways_in, task, {"text": prompt, "params": greedy})
        assert choice.text == expected["generated_text"]
        assert choice.finish_reason == expected["finish_reason"]
    expected = await over_kafka(ways_in, task, {"text": "abc", "params": drawn})
    assert second.choices[0].text == expected["generated_text"]
    assert second.model == model


def test_open_ai_models(open_ai: openai.OpenAI) -> None:
    assert {model.id for model in open_ai.models.list()} == set(SMALL.values())
    assert open_ai.models.retrieve("generation").id == "generation"
    with pytest.raises(openai.NotFoundError, match="no ensemble 'nothing'"):
        open_ai.models.retrieve("nothing")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"n": 2}, "n: not known"),
        ({"logprobs": 3}, "logprobs: not known"),
        ({"top_p": 3.0}, "top_p"),
        ({"extra_body": {"nothing": 1}}, "nothing"),
    ],
    ids=str,
)
def test_open_ai_is_told_what_is_wrong(
    open_ai: openai.OpenAI, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match=said):
        open_ai.completions.create(model="generation", prompt="abc", **asked)


def test_triton_reads_what_there_is(tensors: triton.InferenceServerClient) -> None:
    assert tensors.is_server_live()
    assert tensors.is_server_ready()
    assert tensors.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert tensors.is_model_ready("sentiment")
    assert not tensors.is_model_ready("nothing")
    metadata = tensors.get_model_metadata("question-answering")
    assert [one["name"] for one in metadata["inputs"]] == ["question", "context"]


@pytest.mark.parametrize("binary", [True, False])
async def test_triton_infer(
    ways_in: WaysIn, tensors: triton.InferenceServerClient, binary: bool
) -> None:
    texts = [TEXT, "", "ein Film, über den man spricht 🎬"]
    expected = [await over_kafka(ways_in, "text-classification", {"text": text}) for text in texts]
    given = triton.InferInput("text", [len(texts)], "BYTES")
    given.set_data_from_numpy(
        np.array([text.encode() for text in texts], dtype=np.object_), binary_data=binary
    )
    wanted = [
        triton.InferRequestedOutput(name, binary_data=binary)
        for name in ("label", "score", "scores")
    ]

    found = tensors.infer("sentiment", [given], outputs=wanted, request_id="r-1")

    labels = [
        label.decode() if isinstance(label, bytes) else label for label in found.as_numpy("label")
    ]
    assert labels == [one["label"] for one in expected]
    assert list(found.as_numpy("score")) == [one["score"] for one in expected]
    assert found.as_numpy("scores").tolist() == [
        [one["scores"][name] for name in ("negative", "positive")] for one in expected
    ]
    assert found.get_response()["id"] == "r-1"


@pytest.mark.parametrize("task", SMALL)
async def test_triton_infer_of_every_task_gives_all_outputs(
    ways_in: WaysIn, tensors: triton.InferenceServerClient, task: str
) -> None:
    body = QUESTION if task == "question-answering" else {"text": TEXT[:40]}
    given = []
    for name, text in body.items():
        tensor = triton.InferInput(name, [1], "BYTES")
        tensor.set_data_from_numpy(np.array([text.encode()], dtype=np.object_))
        given.append(tensor)

    found = tensors.infer(SMALL[task], given)

    described = tensors.get_model_metadata(SMALL[task])["outputs"]
    names = [output["name"] for output in described]
    assert [output["name"] for output in found.get_response()["outputs"]] == names
    expected = await over_kafka(ways_in, task, body)
    for name in set(names) & set(expected) - {"entities", "scores"}:
        value = found.as_numpy(name)[0]
        assert (value.decode() if isinstance(value, bytes) else value) == expected[name]


def test_triton_is_told_what_is_wrong(tensors: triton.InferenceServerClient) -> None:
    given = triton.InferInput("words", [1], "BYTES")
    given.set_data_from_numpy(np.array([b"x"], dtype=np.object_))

    with pytest.raises(InferenceServerException, match="text-classification takes text"):
        tensors.infer("sentiment", [given])
