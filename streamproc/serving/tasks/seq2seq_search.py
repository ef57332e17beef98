"""What a request to an encoder-decoder asks for, and how each span is searched for."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from streamproc.errors import Invalid, ModelRefused
from streamproc.serving.decoding.beams import BeamOptions, BeamSearch, EarlyStopping
from streamproc.serving.decoding.logits_processors import LogitsProcessors
from streamproc.serving.decoding.sampling import Sampling, TokenSampler
from streamproc.serving.decoding.sampling_search import SamplingSearch
from streamproc.serving.decoding.search import SearchStrategy
from streamproc.serving.ensembling.steps import StepStrategy
from streamproc.serving.tasks.decoding_task import chosen, logits_rules, odds
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.languages import first_token, source_frame
from streamproc.serving.tasks.task import Params
from streamproc.types import Int64Array


class Seq2SeqParams(Params):
    """What is to be other than the manifest has it; names and formulas are transformers'.

    max_new_tokens, min_new_tokens: for each span that is read, a sentence or a chunk
    prefix: put before every span, as T5 wants it; it is no part of the text
    stream: the text span by span as it is written, where the request names a topic for the parts
    source_language, target_language: codes as the tokenizer has them, as de_DE, deu_Latn or de
    combine: how members are combined at every step
    """

    num_beams: Annotated[int, Field(ge=1, le=64)] | None = None
    length_penalty: Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)] | None = None
    early_stopping: EarlyStopping | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)] | None = None
    no_repeat_ngram_size: Annotated[int, Field(ge=0, le=100)] | None = None
    max_new_tokens: Annotated[int, Field(ge=1, le=1_048_576)] | None = None
    min_new_tokens: Annotated[int, Field(ge=0, le=1_048_576)] | None = None
    prefix: Annotated[str, StringConstraints(max_length=1024)] | None = None
    source_language: Annotated[str, StringConstraints(max_length=64)] | None = None
    target_language: Annotated[str, StringConstraints(max_length=64)] | None = None
    stream: bool = False
    combine: StepStrategy | None = None

    @field_validator("early_stopping", mode="before")
    @classmethod
    def _is_no_number(cls, value: object) -> object:
        # To Python 0 is False; to JSON, and to the schema, it is not.
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise PydanticCustomError("early_stopping", "Input should be true, false or 'never'")
        return value


class Seq2SeqSearch:
    """Begins the search for what is written of each span of a request.

    options: how wide and how long
    frame:   the special tokens around a span
    prefix:  what stands before every span
    """

    def __init__(self, params: Seq2SeqParams, spec: EnsembleSpec) -> None:
        """Raises Invalid, and ModelRefused where the manifest does not say enough."""
        decoding = spec.decodes
        if decoding.start_token is None:
            raise ModelRefused(f"ensemble {spec.name}: decoding.start_token is needed")
        self._decoding = decoding
        self._begun = np.array([decoding.start_token], np.int64)
        self.options = _options(params, spec)
        self._rules = logits_rules(
            decoding,
            repetition_penalty=params.repetition_penalty,
            no_repeat_ngram_size=params.no_repeat_ngram_size,
            min_new_tokens=params.min_new_tokens,
            forced_begin_token=first_token(spec, params.target_language),
        )
        source = params.source_language or decoding.source_language
        self.frame = source_frame(spec, source, "params.source_language")
        self.prefix = chosen(params.prefix, decoding.prefix)

    def begin(self, ids: Int64Array) -> SearchStrategy:
        """ids: (tokens,) the source; with one beam it is no beam search."""
        options = self.options
        processors = LogitsProcessors(
            self._rules,
            prompt_tokens=len(self._begun),
            end_tokens=options.end_tokens,
            source=ids,
        )
        if options.beams > 1:
            return BeamSearch(options, self._begun, processors)
        lots = self._decoding.do_sample
        return SamplingSearch(
            self._begun,
            TokenSampler(
                Sampling.of_prompt(ids, odds(self._decoding)) if lots else None, processors
            ),
            max_new_tokens=options.max_new_tokens,
            end_tokens=options.end_tokens,
        )


def _options(params: Seq2SeqParams, spec: EnsembleSpec) -> BeamOptions:
    decoding = spec.decodes
    longest = params.max_new_tokens or min(decoding.max_new_tokens, decoding.max_tokens)
    if longest > decoding.max_tokens:
        raise Invalid(
            "invalid request",
            f"params.max_new_tokens: {longest}; {spec.name} writes {decoding.max_tokens} "
            "tokens of a sentence, or a chunk, at most",
        )
    beams = params.num_beams or decoding.beams
    if decoding.do_sample and beams > 1:
        raise Invalid(
            "invalid request",
            f"params.num_beams: {beams}; {spec.name} samples, with one beam",
        )
    return BeamOptions(
        beams=beams,
        max_new_tokens=longest,
        end_tokens=decoding.end_tokens,
        length_penalty=chosen(params.length_penalty, decoding.length_penalty),
        early_stopping=chosen(params.early_stopping, decoding.early_stopping),
    )
