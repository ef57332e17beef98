"""What kinds of values transformers writes into a folder's JSON files, as far as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from streamproc.errors import ModelRefused
from streamproc.messages.validation import in_json_words

Token = int | None
Tokens = int | list[int] | None


class _Generation(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    eos_token_id: Tokens = None
    forced_eos_token_id: Tokens = None
    decoder_start_token_id: Token = None
    bad_words_ids: list[list[int]] | None = None
    max_length: int | None = None
    max_new_tokens: int | None = None
    min_length: int | None = None
    min_new_tokens: int | None = None
    num_beams: int | None = None
    prefix: str | None = None


class _Config(_Generation):
    architectures: list[str] | None = None
    model_type: str | None = None
    id2label: dict[str, str | int | float] | None = None
    pad_token_id: Token = None
    vocab_size: int | None = None
    task_specific_params: dict[str, _Generation] | None = None


def require_kinds(said: Mapping[str, Any], where: str) -> None:
    """Raise ModelRefused naming the values that are of another kind than transformers writes."""
    try:
        _Config.model_validate(said)
    except ValidationError as error:
        faults = {
            ".".join(str(part) for part in fault["loc"][:1]): in_json_words(fault)
            for fault in error.errors(include_url=False)
        }
        told = "; ".join(f"{name}: {message}" for name, message in faults.items())
        raise ModelRefused(f"{where}: {told}") from None
