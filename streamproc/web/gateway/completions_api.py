"""`POST /v1/completions` and `GET /v1/models`, for OpenAI's client and those that speak as it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from streamproc.web.gateway.answers import Answer, answers_of, body_of
from streamproc.web.gateway.asking import fields_of
from streamproc.web.gateway.event_streams import AddedText, event_stream
from streamproc.web.gateway.gateway import Gateway
from streamproc.web.gateway.models import NamedModel
from streamproc.web.gateway.openapi import ASKING, error_responses
from streamproc.web.gateway.parameters import Parameters
from streamproc.web.gateway.problems import GatewayProblem
from streamproc.web.gateway.sampling import with_sampling
from streamproc.web.server_sent_events import event

TASK: Final = "text-generation"
MAX_TOKENS: Final = 16
"""OpenAI's own default."""
_PARAMETERS: Final = Parameters(
    {"max_tokens": "max_new_tokens", "echo": "return_full_text"},
    without_effect=("user",),
    only={
        "best_of": (1,),
        "frequency_penalty": (0, 0.0),
        "logit_bias": ({},),
        "logprobs": (),
        "n": (1,),
        "presence_penalty": (0, 0.0),
        "suffix": (),
    },
)


class StreamOptions(BaseModel):
    """include_usage: a last chunk with what was read and written."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False


class CompletionRequest(BaseModel):
    """Further members are parameters: OpenAI's, or those of text-generation."""

    model_config = ConfigDict(extra="allow")

    model: str
    prompt: str | list[str]
    max_tokens: Annotated[int, Field(ge=1)] | None = MAX_TOKENS
    stop: str | list[str] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None


class CompletionChoice(BaseModel):
    """One text that was written."""

    index: int
    text: str
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class CompletionUsage(BaseModel):
    """Tokens of all prompts together, as the ensemble's tokenizer cuts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionResponse(BaseModel):
    """As OpenAI's; usage: None where a worker does not count tokens yet."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage | None = None


class ModelCard(BaseModel):
    """An ensemble; task: what it does."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "streamproc"
    task: str


class ModelList(BaseModel):
    """All ensembles."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


def completions_router(gateway: Gateway) -> APIRouter:
    """The addresses of OpenAI's API that have a meaning here."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"])

    @router.post(
        "/completions",
        summary="Continue prompts as OpenAI's API does",
        response_model=CompletionResponse,
        responses=error_responses(*ASKING),
    )
    async def complete(request: Request, body: CompletionRequest) -> Any:
        model = gateway.models.find(body.model, TASK)
        if body.stream:
            return await _streamed(gateway, request, model, body)
        prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
        if body.stream_options is not None:
            raise GatewayProblem("invalid", "stream_options: of a stream alone; leave it out")
        params = completion_params(body)
        asked = [{"text": prompt, "params": params} for prompt in prompts]
        answers = await answers_of(gateway, request, model, asked)
        return CompletionResponse(
            id=f"cmpl-{uuid.uuid4().hex}",
            created=gateway.clock.now_ms() // 1000,
            model=model.name,
            choices=[_choice(index, answer) for index, answer in enumerate(answers)],
            usage=_usage(answers),
        )

    @router.get("/models", summary="The ensembles that can be asked by name")
    async def models() -> ModelList:
        return ModelList(data=[_card(model) for model in gateway.models.all()])

    @router.get(
        "/models/{ensemble}", summary="One ensemble", responses=error_responses(401, 403, 404)
    )
    async def one_model(ensemble: str) -> ModelCard:
        return _card(gateway.models.find(ensemble))

    return router


async def _streamed(
    gateway: Gateway, request: Request, model: NamedModel, body: CompletionRequest
) -> Response:
    if not isinstance(body.prompt, str):
        raise GatewayProblem("invalid", "stream: one prompt at a time, as a string")
    asked = {"text": body.prompt, "params": completion_params(body)}
    shape = CompletionEvents(
        model.name,
        gateway.clock.now_ms() // 1000,
        request.url.path,
        with_usage=body.stream_options is not None and body.stream_options.include_usage,
    )
    return await event_stream(gateway, request, model.topic, body_of(model, asked), shape)


class CompletionEvents(AddedText):
    """Chunks of a completion, the last one with its finish_reason, and then `[DONE]`.

    with_usage: a chunk before that with what was read and written, and none in all others
    """

    def __init__(self, model: str, created_s: int, path: str, *, with_usage: bool = False) -> None:
        super().__init__(path)
        self._chunk = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": created_s,
            "model": model,
        }
        self._with_usage = with_usage

    def added(self, text: str) -> bytes:
        return self._event(text, None)

    def end(self, response: bytes) -> bytes:
        answer = fields_of(response)
        last = self._event("", answer["result"]["finish_reason"])
        if self._with_usage:
            usage = _usage([answer])
            said = None if usage is None else usage.model_dump()
            last += event(orjson.dumps({**self._chunk, "choices": [], "usage": said}))
        return last + event(b"[DONE]")

    def _event(self, text: str, finish_reason: str | None) -> bytes:
        choice = {"index": 0, "text": text, "finish_reason": finish_reason, "logprobs": None}
        more = {"usage": None} if self._with_usage else {}
        return event(orjson.dumps({**self._chunk, "choices": [choice], **more}))


def completion_params(body: CompletionRequest) -> dict[str, Any]:
    """The params of text-generation that a request means; raises GatewayProblem."""
    given = body.model_dump(exclude={"model", "prompt", "stream", "stream_options"}) | {
        "stop": [body.stop] if isinstance(body.stop, str) else body.stop
    }
    return _PARAMETERS.read(with_sampling(given))


def _choice(index: int, answer: Answer) -> CompletionChoice:
    result = answer["result"]
    return CompletionChoice(
        index=index, text=result["generated_text"], finish_reason=result["finish_reason"]
    )


def _usage(answers: Sequence[Answer]) -> CompletionUsage | None:
    said = [usage for answer in answers if (usage := answer.get("usage")) is not None]
    if len(said) < len(answers):
        return None
    read = sum(one["prompt_tokens"] for one in said)
    written = sum(one["completion_tokens"] for one in said)
    return CompletionUsage(
        prompt_tokens=read, completion_tokens=written, total_tokens=read + written
    )


def _card(model: NamedModel) -> ModelCard:
    return ModelCard(id=model.name, task=model.task)
