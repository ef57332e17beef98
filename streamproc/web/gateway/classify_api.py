"""`POST /v1/classify` as vLLM and SGLang have it."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from streamproc.web.gateway.answers import Answer, answers_of
from streamproc.web.gateway.gateway import Gateway
from streamproc.web.gateway.models import NamedModel
from streamproc.web.gateway.openapi import ASKING, error_responses
from streamproc.web.gateway.problems import GatewayProblem

TASK = "text-classification"


class ClassifyRequest(BaseModel):
    """model: an ensemble, by default the one that the topic's description names."""

    model: str | None = None
    input: str | list[str]


class ClassifiedText(BaseModel):
    """probs: in the order of the manifest's labels."""

    index: int
    label: str
    probs: list[float]
    num_classes: int


class ClassifyResponse(BaseModel):
    """As vLLM's, but for `usage`: tokens are counted by workers, and not told."""

    id: str
    object: str = "list"
    created: int
    model: str
    data: list[ClassifiedText]


def classify_router(gateway: Gateway) -> APIRouter:
    """One address."""
    router = APIRouter(prefix="/v1", tags=["vLLM"])

    @router.post(
        "/classify",
        summary="Classify texts as vLLM does",
        responses=error_responses(*ASKING),
    )
    async def classify(request: Request, body: ClassifyRequest) -> ClassifyResponse:
        model = gateway.models.find(body.model or gateway.topic(TASK).ensemble, TASK)
        if model.manifest.problem_type == "regression":
            raise GatewayProblem("invalid", f"model: {model.name} gives numbers, no probabilities")
        texts = [body.input] if isinstance(body.input, str) else body.input
        answers = await answers_of(gateway, request, model, [{"text": text} for text in texts])
        return ClassifyResponse(
            id=f"classify-{uuid.uuid4().hex}",
            created=gateway.clock.now_ms() // 1000,
            model=model.name,
            data=[_classified(model, *numbered) for numbered in enumerate(answers)],
        )

    return router


def _classified(model: NamedModel, index: int, answer: Answer) -> ClassifiedText:
    result: dict[str, Any] = answer["result"]
    probs = [result["scores"][label] for label in model.manifest.labels]
    return ClassifiedText(index=index, label=result["label"], probs=probs, num_classes=len(probs))
