"""From the generation settings of a Hugging Face folder to `[decoding]` of a manifest.

Every setting of transformers 4.57 is applied as its generate applies it, or refused by name, or is
one of those that can't change an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from streamproc.errors import ModelRefused
from streamproc.messages.validation import in_json_words
from streamproc.repository.decoding_section import DecodingSection

# What transformers takes where nothing is said; written so, it says nothing either.
_SAID_NOTHING_LENGTH = 20
# T5 has no positions of its own; it was trained with so many tokens.
_POSITIONS_WITHOUT_LIMIT = 512
_NEW_TOKENS = 128
_SUMMARY_TOKENS, _SUMMARY_BEAMS = 256, 4

# Settings of sampling; whatever they say, nothing comes of them without do_sample.
_SAMPLING = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
)
_SAME_NAME = (
    *_SAMPLING,
    "do_sample",
    "length_penalty",
    "early_stopping",
    "repetition_penalty",
    "encoder_repetition_penalty",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
)
# What a manifest takes as it is, by transformers' name for it.
_MANIFEST_NAME = {name: name for name in _SAME_NAME} | {
    "forced_bos_token_id": "forced_begin_token",
    "suppress_tokens": "suppressed_tokens",
    "begin_suppress_tokens": "begin_suppressed_tokens",
    "exponential_decay_length_penalty": "length_decay",
    "renormalize_logits": "renormalise",
    "num_beams": "beams",
}
# What changes an answer and can't be had, with the values that change nothing.
_REFUSED: dict[str, tuple[Any, ...]] = {
    "guidance_scale": (1,),
    "sequence_bias": (),
    "watermarking_config": (),
    "constraints": (),
    "force_words_ids": (),
    "num_beam_groups": (1,),
    "diversity_penalty": (0,),
    "penalty_alpha": (0,),
    "dola_layers": (),
    "stop_strings": ([],),
    "token_healing": (False,),
    "max_time": (),
    "forced_decoder_ids": ([],),
}


def decoding_section(
    said: Mapping[str, Any], *, encoder_decoder: bool, positions: int | None, prefix: str = ""
) -> DecodingSection:
    """What generation settings come to.

    said:      as generation_config.json has them
    positions: the longest input in tokens, where the model says it
    prefix:    what it wants before every text
    Raises ModelRefused naming the settings that can't be had, or are out of range.
    """
    said = {name: value for name, value in said.items() if value is not None}
    try:
        _refuse(said, encoder_decoder=encoder_decoder, prefix=prefix)
        values = _values(said, encoder_decoder=encoder_decoder, positions=positions)
        return DecodingSection.model_validate({**values, "prefix": prefix})
    except ValidationError as error:
        raise ModelRefused(f"config.json and generation_config.json: {_describe(error)}") from None
    except TypeError as error:
        raise ModelRefused(
            f"config.json and generation_config.json: a setting is of another kind: {error}"
        ) from None


def summarising_defaults(said: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with those that the summarization pipeline of transformers puts where none are.

    said: as generation_config.json has them; own: those of the task, which are to hold
    """
    found = dict(said)
    lengths = (said.get("max_length"), own.get("max_length"))
    unsaid = all(length in {None, _SAID_NOTHING_LENGTH} for length in lengths)
    if unsaid and said.get("max_new_tokens") is None and own.get("max_new_tokens") is None:
        found["max_new_tokens"] = _SUMMARY_TOKENS
    if said.get("num_beams") in {None, 1} and not said.get("do_sample"):
        found["num_beams"] = _SUMMARY_BEAMS
    return found


def _values(
    said: Mapping[str, Any], *, encoder_decoder: bool, positions: int | None
) -> dict[str, Any]:
    values = {ours: said[theirs] for theirs, ours in _MANIFEST_NAME.items() if theirs in said}
    if not values.get("do_sample"):
        # At their limits, such as a temperature of 0, they would be refused for nothing.
        values = {name: value for name, value in values.items() if name not in _SAMPLING}
    banned = [word for word in said.get("bad_words_ids", ()) if word]
    forced_end = _several(said.get("forced_eos_token_id", ()))
    if encoder_decoder:
        values["start_token"] = said.get("decoder_start_token_id")
        if values["start_token"] is None:
            raise ModelRefused("config.json has no decoder_start_token_id")
    return {
        **values,
        "end_tokens": _several(said.get("eos_token_id", ())),
        "banned_tokens": [word[0] for word in banned if len(word) == 1],
        "banned_sequences": [word for word in banned if len(word) > 1],
        "forced_end_token": forced_end[0] if forced_end else None,
        **_lengths(said, encoder_decoder=encoder_decoder, positions=positions),
    }


def _refuse(said: Mapping[str, Any], *, encoder_decoder: bool, prefix: str) -> None:
    found = {
        name: said[name]
        for name, harmless in _REFUSED.items()
        if name in said and said[name] not in harmless
    }
    if len(_several(said.get("forced_eos_token_id", ()))) > 1:
        found["forced_eos_token_id"] = said["forced_eos_token_id"]
    beams = said.get("num_beams", 1)
    if beams != 1 and (said.get("do_sample") or not encoder_decoder):
        found["num_beams"] = beams
    if prefix and not encoder_decoder:
        found["prefix"] = prefix
    if found:
        named = ", ".join(f"{name}: {value}" for name, value in found.items())
        raise ModelRefused(
            f"the model's generation settings ask for what is not to be had here: {named}; take "
            "them out of generation_config.json, or config.json, if its answers are right without"
        )


def _lengths(
    said: Mapping[str, Any], *, encoder_decoder: bool, positions: int | None
) -> dict[str, int | None]:
    """How long and how short a text may be."""
    length = said.get("max_length", _SAID_NOTHING_LENGTH)
    new = said.get("max_new_tokens")
    of_all = None
    if new is None and length != _SAID_NOTHING_LENGTH:
        # A decoder's start token counts as one; a prompt is as long as it happens to be.
        new, of_all = (length - 1, None) if encoder_decoder else (None, length)
    elif new is None and "max_length" in said:
        new = length
    new = _NEW_TOKENS if new is None else new
    least, least_of_all = said.get("min_new_tokens"), said.get("min_length", 0)
    if encoder_decoder and least is None:
        least, least_of_all = max(0, least_of_all - 1), 0
    most = positions or max(_POSITIONS_WITHOUT_LIMIT, new + 1)
    return {
        "max_tokens": most,
        "max_new_tokens": min(new, most - 1),
        "max_length": of_all,
        "min_new_tokens": least or 0,
        "min_length": least_of_all if least is None else 0,
    }


def _several(value: int | Sequence[int]) -> list[int]:
    return [value] if isinstance(value, int) else list(value)


def _describe(error: ValidationError) -> str:
    """What is wrong, by transformers' names."""
    ours = {name: theirs for theirs, name in _MANIFEST_NAME.items()}
    return "; ".join(
        f"{ours.get(str(fault['loc'][0]), fault['loc'][0]) if fault['loc'] else 'decoding'}: "
        f"{in_json_words(fault)}"
        for fault in error.errors(include_url=False)
    )
