"""text-generation: a prompt continued by all members together; its next word included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, StringConstraints, model_validator

from streamproc.errors import Invalid
from streamproc.messages.response import Coverage, MemberStatus, Usage
from streamproc.serving.decoding.detokenizing import CONTEXT_TOKENS, continuation
from streamproc.serving.decoding.logits_processors import LogitsProcessors
from streamproc.serving.decoding.prompt import Outcome, Prompt
from streamproc.serving.decoding.sampling import Sampling, TokenSampler
from streamproc.serving.decoding.sampling_search import SamplingSearch
from streamproc.serving.decoding.search import Decoded
from streamproc.serving.decoding.settled_text import SettledText
from streamproc.serving.decoding.stopping_criteria import StopStrings, cut_before
from streamproc.serving.ensembling.steps import StepStrategy
from streamproc.serving.tasks.decoding_task import (
    Architecture,
    DecodingJob,
    DecodingTask,
    chosen,
    logits_rules,
    odds,
    step_combination,
)
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.prompt_text import PromptText, Truncate
from streamproc.serving.tasks.task import Answer, Inputs, Params, TextInputs
from streamproc.types import Int64Array, JsonObject

StopString = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class TextGenerationParams(Params):
    """How a text goes on; names and formulas are transformers', defaults are the manifest's.

    max_new_tokens: default: the manifest's, or what the model has room for behind the prompt
    min_new_tokens: no end token before so many
    do_sample: by lot instead of the likeliest token; temperature, top_k (0: all), top_p and seed
        are for it alone. Without a seed one is made of the prompt, so that a request that comes
        twice gets the same answer
    repetition_penalty, no_repeat_ngram_size: over prompt and continuation
    stop: the text ends before the first of these strings
    next_tokens: list so many of the likeliest first tokens, with the combined probabilities
    truncate: which end to cut of a prompt that leaves no room; without it such a prompt is invalid
    return_full_text: whether the result begins with the prompt (transformers does so by default)
    stream: the text in parts while it is written, where the request names a topic for them
    combine: how members are combined at every step, instead of the manifest's way
    return_members: each member's own continuation, at the cost of as many more generations
    """

    max_new_tokens: Annotated[int, Field(ge=1, le=1_048_576)] | None = None
    min_new_tokens: Annotated[int, Field(ge=0, le=1_048_576)] | None = None
    do_sample: bool | None = None
    temperature: Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)] | None = None
    no_repeat_ngram_size: Annotated[int, Field(ge=0, le=1024)] | None = None
    stop: Annotated[tuple[StopString, ...], Field(max_length=16, strict=False)] = ()
    next_tokens: Annotated[int, Field(ge=1, le=100)] | None = None
    truncate: Truncate | None = None
    return_full_text: bool = False
    stream: bool = False
    combine: StepStrategy | None = None

    @model_validator(mode="after")
    def _not_of_lots(self) -> TextGenerationParams:
        if self.do_sample is False:
            self.require_none_of_lots()
        return self

    def require_none_of_lots(self) -> None:
        """Raise ValueError where it says how lots are to be drawn."""
        for name in ("temperature", "top_k", "top_p", "seed"):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} has a meaning only with do_sample: true")


class TextGenerationJob(DecodingJob):
    """A prompt being continued: by the ensemble, and by each member alone where that is asked."""

    def __init__(
        self, inputs: TextInputs, params: TextGenerationParams, spec: EnsembleSpec
    ) -> None:
        self.characters = len(inputs.text)
        self._text = inputs.text
        self._params = params
        self._spec = spec
        self._prompt = PromptText(np.empty(0, np.int64), 0, 0)
        self._outcomes: list[Outcome] = []
        self.wants_parts = params.stream
        spec.chosen_step_strategy(params.combine)
        self._samples = chosen(params.do_sample, spec.decodes.do_sample)
        # Without a seed lots are made of the prompt; but nobody asked for the same ones again.
        self.is_repeatable = not self._samples or params.seed is not None
        if not self._samples:
            try:
                params.require_none_of_lots()
            except ValueError as error:
                raise Invalid("invalid request", f"params: {error}") from None

    def chunks(self) -> Iterator[Prompt]:
        self._prompt = PromptText.read(
            self._text, self._spec, self._params.max_new_tokens, self._params.truncate
        )
        everybody = tuple(range(len(self._spec.members)))
        yield self._sequence(everybody, self._spec.needed_members, self._together)
        if self._params.return_members:
            for member in everybody:
                yield self._sequence((member,), 0, self._search)

    def add(self, chunk: Prompt, outputs: Outcome) -> None:
        self._outcomes.append(outputs)
        if len(self._outcomes) == 1 and outputs.decoded is not None and self.show is not None:
            self._show_rest(self._text_of(outputs.decoded))

    def answer(self) -> Answer:
        together, *alone = self._outcomes
        decoded = together.decoded
        if decoded is None:
            raise AssertionError("unreachable: an ensemble that needs no member")
        results = {
            index: self._result(one.decoded) for index, one in enumerate(alone) if one.decoded
        }
        return Answer(
            result=self._result(decoded),
            members=self._spec.member_reports(
                [self._status(index) for index in range(len(self._spec.members))], results
            ),
            agreement=decoded.agreement,
            entropy=decoded.entropy,
            coverage=Coverage(
                chunks=1,
                characters=self.characters,
                characters_covered=self._prompt.end - self._prompt.start,
                truncated=self._prompt.end - self._prompt.start < self.characters,
            ),
            usage=Usage(len(self._prompt.ids), len(decoded.tokens)),
        )

    def _status(self, member: int) -> MemberStatus:
        """A member's in writing together; where it did well there, in writing alone."""
        statuses = (outcome.status(member) for outcome in self._outcomes)
        return next((status for status in statuses if status != "ok"), "ok")

    def _sequence(
        self, members: tuple[int, ...], needed_members: int, search: Callable[[], SamplingSearch]
    ) -> Prompt:
        ids, new_tokens = self._prompt.ids, self._prompt.max_new_tokens
        evidence, combine = step_combination(self._spec, self._params.combine, ids, goes_on=True)
        return Prompt(
            ids,
            search,
            evidence,
            combine,
            max_new_tokens=new_tokens,
            members=members,
            needed_members=needed_members,
        )

    def _together(self) -> SamplingSearch:
        """The search of all members, whose text is shown."""
        if self.show is None:
            return self._search()
        tokenizer, ids = self._spec.tokenizer, self._prompt.ids.tolist()
        settled = SettledText(tokenizer.decode, tokenizer.ends_bytes, ids, self._params.stop)
        before = [self._text] if self._params.return_full_text else []

        def show(token: int) -> None:
            self._show("".join((*before, settled.add(token))))
            before.clear()

        return self._search(show)

    def _search(self, on_token: Callable[[int], None] | None = None) -> SamplingSearch:
        params, decoding, ids = self._params, self._spec.decodes, self._prompt.ids
        rules = logits_rules(
            decoding,
            repetition_penalty=params.repetition_penalty,
            no_repeat_ngram_size=params.no_repeat_ngram_size,
            min_new_tokens=params.min_new_tokens,
            forced_begin_token=decoding.forced_begin_token,
        )
        processors = LogitsProcessors(
            rules, prompt_tokens=len(ids), end_tokens=decoding.end_tokens, source=ids
        )
        return SamplingSearch(
            ids,
            TokenSampler(self._sampling(ids), processors),
            max_new_tokens=self._prompt.max_new_tokens,
            end_tokens=decoding.end_tokens,
            stop=StopStrings(params.stop, self._spec.tokenizer.decode, ids.tolist()),
            next_tokens=params.next_tokens or 0,
            on_token=on_token,
        )

    def _sampling(self, ids: Int64Array) -> Sampling | None:
        params = self._params
        if not self._samples:
            return None
        asked = odds(
            self._spec.decodes,
            temperature=params.temperature,
            top_k=params.top_k,
            top_p=params.top_p,
        )
        return Sampling.of_prompt(ids, asked, params.seed)

    def _text_of(self, decoded: Decoded) -> str:
        decode, ids = self._spec.tokenizer.decode, self._prompt.ids.tolist()
        written = continuation(decode, ids, decoded.tokens.tolist())
        if decoded.finish_reason == "stop":
            written = cut_before(written, self._params.stop)
        return self._text + written if self._params.return_full_text else written

    def _result(self, decoded: Decoded) -> JsonObject:
        result: JsonObject = {
            "generated_text": self._text_of(decoded),
            "finish_reason": decoded.finish_reason,
        }
        if self._params.next_tokens is not None:
            decode, ids = self._spec.tokenizer.decode, self._prompt.ids.tolist()
            result["next_tokens"] = [
                {"token": continuation(decode, ids[-CONTEXT_TOKENS:], [token]), "probability": odds}
                for token, odds in decoded.next_tokens
            ]
        return result


class TextGeneration(DecodingTask):
    """Members are combined at every token; what they write depends on no other request."""

    name: ClassVar[str] = "text-generation"
    inputs: ClassVar[type[Inputs]] = TextInputs
    params: ClassVar[type[Params]] = TextGenerationParams
    job = TextGenerationJob
    text_field: ClassVar[str] = "generated_text"
    architecture: ClassVar[Architecture] = "decoder"
