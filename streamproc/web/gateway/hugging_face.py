"""`POST /models/{ensemble}` as Hugging Face's inference servers have it, for `InferenceClient`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from streamproc.types import ProblemType
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

_APPLIED: Final[Mapping[ProblemType, str]] = {
    "single_label_classification": "softmax",
    "multi_label_classification": "sigmoid",
    "regression": "none",
}
_GENERATING: Final = {"clean_up_tokenization_spaces": (False,)}
_WINDOWS: Final = {"max_seq_len": (), "doc_stride": ()}
_PARAMETERS: Final[Mapping[str, Parameters]] = {
    "text-classification": Parameters(),
    "token-classification": Parameters(
        {"aggregation_strategy": "aggregation"}, only={"stride": ()}
    ),
    "question-answering": Parameters(
        {"max_answer_len": "max_answer_tokens"}, ("max_question_len",), only=_WINDOWS
    ),
    "translation": Parameters(
        {"src_lang": "source_language", "tgt_lang": "target_language"},
        only=_GENERATING | {"truncation": ("do_not_truncate",)},
    ),
    "summarization": Parameters(only=_GENERATING),
    "text-generation": Parameters(
        only={
            "adapter_id": (),
            "best_of": (1,),
            "decoder_input_details": (False,),
            "details": (False,),
            "frequency_penalty": (0, 0.0),
            "grammar": (),
            "top_n_tokens": (),
            "truncate": ("start", "end"),
            "typical_p": (1, 1.0),
            "watermark": (False,),
        }
    ),
}


class HuggingFaceRequest(BaseModel):
    """inputs: a text, a list of texts, or {"question", "context"}; parameters: of the task."""

    inputs: str | list[str] | dict[str, str]
    parameters: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    stream: bool = False


def hugging_face_router(gateway: Gateway) -> APIRouter:
    """One address for every ensemble; what it does decides what is asked and answered."""
    router = APIRouter(tags=["Hugging Face"])

    @router.post(
        "/models/{ensemble}",
        summary="Ask an ensemble as Hugging Face's inference servers are asked",
        responses=error_responses(*ASKING),
    )
    async def ask(request: Request, ensemble: str, body: HuggingFaceRequest) -> Any:
        model = gateway.models.find(ensemble)
        params = _params(model, body.parameters)
        if body.stream:
            return await _streamed(gateway, request, model, body.inputs, params)
        texts = body.inputs if isinstance(body.inputs, list) else [body.inputs]
        asked = [{**_inputs(model, text), "params": params} for text in texts]
        answers = await answers_of(gateway, request, model, asked)
        shaped = [_SHAPES[model.task](model, answer["result"]) for answer in answers]
        return shaped if isinstance(body.inputs, list) else _alone(model, shaped[0])

    return router


async def _streamed(
    gateway: Gateway,
    request: Request,
    model: NamedModel,
    text: str | list[str] | dict[str, str],
    params: Mapping[str, Any],
) -> Response:
    if model.task != "text-generation" or not isinstance(text, str):
        raise GatewayProblem("invalid", "stream: one text at a time, of text-generation")
    body = body_of(model, {"text": text, "params": params})
    shape = TokenEvents(request.url.path)
    return await event_stream(gateway, request, model.topic, body, shape)


class TokenEvents(AddedText):
    """As text-generation-inference has them: an event a token, the last one with the whole text.

    A part may be several tokens, of which neither ids nor probabilities are known here.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._index = 0

    def added(self, text: str) -> bytes:
        return self._event(text, None)

    def end(self, response: bytes) -> bytes:
        return self._event("", fields_of(response)["result"]["generated_text"])

    def _event(self, text: str, whole: str | None) -> bytes:
        self._index += 1
        token = {"id": -1, "text": text, "logprob": None, "special": False}
        said = {"index": self._index, "token": token, "generated_text": whole, "details": None}
        return event(orjson.dumps(said))


def _params(model: NamedModel, given: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(given)
    if model.task == "text-classification":
        _require_function(model, given.pop("function_to_apply", None))
    if model.task == "text-generation":
        given = with_sampling(given)
    if model.task in ("translation", "summarization"):
        given |= given.pop("generate_parameters", None) or {}
    if model.task == "summarization" and "truncation" in given:
        given["truncate"] = given.pop("truncation") not in (None, "do_not_truncate")
    return _PARAMETERS[model.task].read(given)


def _require_function(model: NamedModel, function: Any) -> None:
    applied = _APPLIED[model.manifest.problem_type]
    if function not in (None, "default", applied):
        raise GatewayProblem(
            "invalid",
            f"parameters.function_to_apply: {applied} is applied to the outputs of {model.name}, "
            "as its manifest says; leave it out",
        )


def _inputs(model: NamedModel, text: str | dict[str, str]) -> dict[str, str]:
    if model.task == "question-answering":
        if isinstance(text, str) or set(text) != {"question", "context"}:
            raise GatewayProblem("invalid", 'inputs: {"question": …, "context": …} is asked for')
        return text
    if not isinstance(text, str):
        raise GatewayProblem("invalid", f"inputs: a text is asked for by {model.task}")
    return {"text": text}


def _alone(model: NamedModel, shaped: Any) -> Any:
    """What a text gets that did not come in a list."""
    # As there: of these tasks a list of one.
    is_listed = model.task in ("translation", "summarization", "text-generation")
    return [shaped] if is_listed or model.task == "text-classification" else shaped


def _labels(model: NamedModel, result: Answer) -> list[dict[str, Any]]:
    """Every label with its score; of a regression every number under its name."""
    if "scores" in result:
        scores = result["scores"]
    elif "value" in result:
        scores = {model.manifest.labels[0]: result["value"]}
    else:
        scores = {name: number["value"] for name, number in result["values"].items()}
    return [{"label": label, "score": score} for label, score in scores.items()]


def _entities(_: NamedModel, result: Answer) -> Any:
    return result["entities"]


def _answers(_: NamedModel, result: Answer) -> Any:
    found = result["answers"]
    return found[0] if len(found) == 1 else found


def _text(name: str) -> Callable[[NamedModel, Answer], Any]:
    return lambda _, result: {name: result[name]}


_SHAPES: Final[Mapping[str, Callable[[NamedModel, Answer], Any]]] = {
    "text-classification": _labels,
    "token-classification": _entities,
    "question-answering": _answers,
    "translation": _text("translation_text"),
    "summarization": _text("summary_text"),
    "text-generation": _text("generated_text"),
}
"""From a result to what transformers' pipeline of the task returns for one text."""
