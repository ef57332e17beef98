"""Open Inference Protocol v2, for tritonclient, KServe and MLServer's clients: texts are BYTES."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response

from streamproc import __version__
from streamproc.web.gateway.answers import Answer, answers_of
from streamproc.web.gateway.gateway import Gateway
from streamproc.web.gateway.models import NamedModel
from streamproc.web.gateway.openapi import ASKING, error_responses
from streamproc.web.gateway.problems import GatewayProblem
from streamproc.web.gateway.tensors import (
    JSON_LENGTH,
    InferRequest,
    OutputTensor,
    read_infer_request,
    read_texts,
    written,
)

PLATFORM: Final = "streamproc"
_OF_PROTOCOL: Final = (
    *("binary_data_output", "sequence_id", "sequence_start", "sequence_end"),
    *("priority", "timeout"),
)


@dataclass(frozen=True, slots=True)
class Output:
    """value: from a result to what one text gets"""

    name: str
    datatype: str
    value: Callable[[NamedModel, Answer], Any]


def _field(name: str, datatype: str) -> Output:
    return Output(name, datatype, lambda _, result: result[name])


_SCORES: Final = Output(
    "scores",
    "FP64",
    lambda model, result: [result["scores"][label] for label in model.manifest.labels],
)
_ENTITIES: Final = Output(
    "entities", "BYTES", lambda _, result: orjson.dumps(result["entities"]).decode()
)
_FINISH: Final = _field("finish_reason", "BYTES")
_OUTPUTS: Final[Mapping[str, tuple[Output, ...]]] = {
    "text-classification": (_field("label", "BYTES"), _field("score", "FP64"), _SCORES),
    "token-classification": (_ENTITIES,),
    "question-answering": (
        _field("answer", "BYTES"),
        _field("score", "FP64"),
        _field("start", "INT64"),
        _field("end", "INT64"),
    ),
    "translation": (_field("translation_text", "BYTES"), _FINISH),
    "summarization": (_field("summary_text", "BYTES"), _FINISH),
    "text-generation": (_field("generated_text", "BYTES"), _FINISH),
}
_WHOLE: Final = "response"
"""The output that has each response as JSON."""


def open_inference_router(gateway: Gateway) -> APIRouter:
    """Metadata, readiness and inference of every ensemble."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

    @router.get("", summary="What this server is")
    async def server() -> dict[str, Any]:
        return {"name": PLATFORM, "version": __version__, "extensions": ["binary_tensor_data"]}

    @router.get("/models/{ensemble}", summary="Tensors", responses=error_responses(401, 403, 404))
    async def metadata(ensemble: str) -> dict[str, Any]:
        return _metadata(gateway.models.find(ensemble))

    @router.get(
        "/models/{ensemble}/ready",
        summary="Whether an ensemble can be asked",
        responses=error_responses(401, 403, 404, 503),
    )
    async def ready(ensemble: str) -> dict[str, Any]:
        model = gateway.models.find(ensemble)
        trouble = gateway.client.trouble_of(model.topic.name)
        if missing := [*gateway.client.not_ready(), *([trouble] if trouble else ())]:
            raise GatewayProblem("kafka-away", "; ".join(missing), retry_after_s=1)
        return {"name": model.name, "ready": True}

    @router.post(
        "/models/{ensemble}/infer",
        summary="Ask an ensemble about texts",
        responses=error_responses(*ASKING),
        openapi_extra={"requestBody": {"required": True, "content": _BODY}},
    )
    async def infer(request: Request, ensemble: str) -> Response:
        model = gateway.models.find(ensemble)
        asked, binary = read_infer_request(await request.body(), request.headers.get(JSON_LENGTH))
        fields = _fields(model, asked, read_texts(asked, binary))
        answers = await answers_of(gateway, request, model, fields)
        header = {"model_name": model.name, "model_version": _version(model, answers)}
        if asked.id is not None:
            header["id"] = asked.id
        body, headers = written(header, _tensors(model, answers), asked)
        kind = "application/octet-stream" if headers else "application/json"
        return Response(body, headers=headers, media_type=kind)

    return router


_BODY: Final = {
    "application/json": {"schema": InferRequest.model_json_schema()},
    "application/octet-stream": {
        "schema": {"type": "string", "format": "binary"},
    },
}


def _inputs(model: NamedModel) -> tuple[str, ...]:
    return ("question", "context") if model.task == "question-answering" else ("text",)


def _fields(
    model: NamedModel, request: InferRequest, texts: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """The requests: the first text of every input, the second, and so on."""
    names = _inputs(model)
    if set(texts) != set(names) or len(request.inputs) != len(names):
        raise GatewayProblem("invalid", f"inputs: {model.task} takes {' and '.join(names)}")
    if len({len(found) for found in texts.values()}) > 1:
        raise GatewayProblem("invalid", "inputs: as many of one as of the other")
    params = {name: value for name, value in request.parameters.items() if name not in _OF_PROTOCOL}
    rows = zip(*(texts[name] for name in names), strict=True)
    return [{**dict(zip(names, row, strict=True)), "params": params} for row in rows]


def _version(model: NamedModel, answers: Sequence[Answer]) -> str:
    """The manifest that was asked: another than the folder's where another version is promoted.

    Where workers exchanged versions between two texts, all of those that were asked.
    """
    manifests = {answer.get("manifest") or model.digest for answer in answers}
    return ",".join(sorted(manifest[:12] for manifest in manifests))


def _tensors(model: NamedModel, answers: Sequence[Answer]) -> list[OutputTensor]:
    count = len(answers)
    whole = [orjson.dumps(answer).decode() for answer in answers]
    tensors = [OutputTensor(_WHOLE, "BYTES", [count], whole)]
    for output in _outputs(model):
        values = [output.value(model, answer["result"]) for answer in answers]
        if output is _SCORES:
            width = len(model.manifest.labels)
            flat = [score for row in values for score in row]
            tensors.append(OutputTensor(output.name, output.datatype, [count, width], flat))
        else:
            tensors.append(OutputTensor(output.name, output.datatype, [count], values))
    return tensors


def _outputs(model: NamedModel) -> tuple[Output, ...]:
    """Those of its task; a regression has neither labels nor probabilities, but `response`."""
    return () if model.manifest.problem_type == "regression" else _OUTPUTS[model.task]


def _metadata(model: NamedModel) -> dict[str, Any]:
    outputs = [{"name": _WHOLE, "datatype": "BYTES", "shape": [-1]}]
    for output in _outputs(model):
        shape = [-1, len(model.manifest.labels)] if output is _SCORES else [-1]
        outputs.append({"name": output.name, "datatype": output.datatype, "shape": shape})
    return {
        "name": model.name,
        "versions": [model.digest[:12]],
        "platform": PLATFORM,
        "inputs": [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in _inputs(model)],
        "outputs": outputs,
    }
