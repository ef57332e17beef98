"""`[decoding]` of a manifest: how an ensemble writes text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from streamproc.repository.section import Section

TokenId = Annotated[int, Field(ge=0)]
TokenIds = tuple[TokenId, ...]
TokenSequence = Annotated[TokenIds, Field(strict=False, min_length=1)]
LengthDecay = tuple[
    Annotated[int, Field(ge=0)], Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)]
]


class DecodingSection(Section):
    """How an ensemble decodes, where its task is to write text; requests may say otherwise.

    The settings of transformers' generate; in brackets what it calls them, where that differs.

    start_token: what an encoder-decoder's decoder begins with; none for a decoder alone
    end_tokens: any of them ends a text (eos_token_id)
    banned_tokens, banned_sequences: never written, as the padding token of Marian (bad_words_ids)
    suppressed_tokens, begin_suppressed_tokens: never written, or not first (suppress_tokens,
        begin_suppress_tokens)
    forced_begin_token: written first, as a language's token (forced_bos_token_id)
    forced_end_token: written as the last token that is allowed, as in Marian and BART
        (forced_eos_token_id)
    max_tokens: the longest input and output together of a decoder, or output of an encoder-decoder
    max_new_tokens: written at most
    max_length, min_length: of prompt and new text together, of a decoder
    min_new_tokens: no end before so many
    beams, length_penalty, early_stopping: of a beam search (num_beams)
    length_decay: (start, factor), by what an end becomes likelier with each token from there on
        (exponential_decay_length_penalty)
    renormalise: make probabilities of what the rules leave (renormalize_logits)
    do_sample: by lot, one beam; temperature, top_k and the others are for it alone
    prefix: put before every text that is translated, as T5 wants it
    source_language, target_language: codes that the tokenizer has a token for, of a model of many
        languages; the target's is written first
    """

    start_token: TokenId | None = None
    end_tokens: TokenIds = Field((), strict=False)
    banned_tokens: TokenIds = Field((), strict=False)
    banned_sequences: tuple[TokenSequence, ...] = Field((), strict=False)
    suppressed_tokens: TokenIds = Field((), strict=False)
    begin_suppressed_tokens: TokenIds = Field((), strict=False)
    forced_begin_token: TokenId | None = None
    forced_end_token: TokenId | None = None
    max_tokens: int = Field(ge=2, le=1_048_576)
    max_new_tokens: int = Field(128, ge=1)
    max_length: int | None = Field(None, ge=1)
    min_length: int = Field(0, ge=0)
    min_new_tokens: int = Field(0, ge=0)
    beams: int = Field(1, ge=1, le=64)
    length_penalty: float = Field(1.0, ge=-10, le=10, allow_inf_nan=False)
    early_stopping: Literal[True, False, "never"] = False
    repetition_penalty: float = Field(1.0, ge=0.01, le=100, allow_inf_nan=False)
    encoder_repetition_penalty: float = Field(1.0, ge=0.01, le=100, allow_inf_nan=False)
    no_repeat_ngram_size: int = Field(0, ge=0, le=1024)
    encoder_no_repeat_ngram_size: int = Field(0, ge=0, le=1024)
    length_decay: LengthDecay | None = Field(None, strict=False)
    renormalise: bool = False
    do_sample: bool = False
    temperature: float = Field(1.0, ge=0.01, le=100, allow_inf_nan=False)
    top_k: int = Field(50, ge=0, le=1_000_000)
    top_p: float = Field(1.0, gt=0, le=1, allow_inf_nan=False)
    min_p: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    typical_p: float = Field(1.0, gt=0, le=1, allow_inf_nan=False)
    epsilon_cutoff: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False)
    eta_cutoff: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False)
    prefix: str = Field("", max_length=1024)
    source_language: str | None = None
    target_language: str | None = None

    @model_validator(mode="after")
    def _samples_alone(self) -> DecodingSection:
        if self.do_sample and self.beams > 1:
            raise ValueError("do_sample is for one beam, and beams are more")
        return self

    @property
    def named_tokens(self) -> frozenset[int]:
        """Every token that it names by its id."""
        single = (self.start_token, self.forced_begin_token, self.forced_end_token)
        return frozenset(
            token
            for token in (
                *single,
                *self.end_tokens,
                *self.banned_tokens,
                *(token for sequence in self.banned_sequences for token in sequence),
                *self.suppressed_tokens,
                *self.begin_suppressed_tokens,
            )
            if token is not None
        )
