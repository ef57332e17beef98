"""What a Hugging Face folder says of its model, beside the weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml
from pydantic import ValidationError

from streamproc.errors import ModelRefused
from streamproc.repository.manifest import DecodingSection

_TASKS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForConditionalGeneration": "translation",
    "MTModel": "translation",
}
_NAMELESS = re.compile(r"LABEL_\d+")
# T5 has no positions of its own; it was trained with so many tokens.
_POSITIONS_WITHOUT_LIMIT = 512
_NEW_TOKENS = 128


class Configuration:
    """`config.json` and what else lies in the folder; of a model without one, nothing."""

    def __init__(self, folder: Path | None) -> None:
        """Read; raises ModelRefused where a file is not JSON."""
        self._folder = folder
        self._config = self._read("config.json")
        self._generation = {**self._config, **self._read("generation_config.json")}

    @property
    def task(self) -> str | None:
        """What the architecture is for."""
        for architecture in self._config.get("architectures") or ():
            for ending, task in _TASKS.items():
                if architecture.endswith(ending):
                    return task
        return None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs in order, LABEL_0 included; none where there are none.

        Raises ModelRefused where labels do not exclude each other.
        """
        named: Mapping[str, str] = self._config.get("id2label") or {}
        if named and self._config.get("problem_type") == "multi_label_classification":
            raise ModelRefused(
                "config.json says multi_label_classification: its labels do not exclude each "
                "other, and a text has one label here"
            )
        return tuple(str(named[key]) for key in sorted(named, key=int))

    @property
    def labels_are_named(self) -> bool:
        """Whether somebody gave the labels names, beyond LABEL_0."""
        return bool(self.labels) and not all(map(_NAMELESS.fullmatch, self.labels))

    @property
    def positions(self) -> int | None:
        """The longest input in tokens; None where it is not said."""
        for key in ("max_position_embeddings", "n_positions", "n_ctx"):
            if isinstance(found := self._config.get(key), int):
                # RoBERTa's positions begin behind its padding token.
                roberta = "roberta" in str(self._config.get("model_type"))
                return found - 1 - int(self._config.get("pad_token_id") or 0) if roberta else found
        return None

    @property
    def licence(self) -> str:
        """As the model card has it."""
        card = self._folder / "README.md" if self._folder else None
        if not card or not card.is_file():
            return ""
        head = re.match(
            r"---\n(.*?)\n---", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL
        )
        try:
            said = yaml.safe_load(head.group(1)) if head else None
        except yaml.YAMLError:
            return ""
        return str(said.get("license") or "") if isinstance(said, dict) else ""

    @property
    def tokenizer(self) -> Path | None:
        """The folder's `tokenizer.json`."""
        path = self._folder / "tokenizer.json" if self._folder else None
        return path if path and path.is_file() else None

    def decoding(self, *, encoder_decoder: bool) -> DecodingSection:
        """How the model writes; raises ModelRefused where the files do not say enough."""
        said = self._generation
        ends = said.get("eos_token_id")
        most = self.positions or _POSITIONS_WITHOUT_LIMIT
        new = said.get("max_new_tokens") or min(_NEW_TOKENS, most - 1)
        values = {
            "end_tokens": ends if isinstance(ends, list) else [] if ends is None else [ends],
            # Longer ones have no place in a manifest, and come from no translator known to us.
            "banned_tokens": [bad[0] for bad in said.get("bad_words_ids") or () if len(bad) == 1],
            "max_tokens": most,
            "max_new_tokens": min(new, most - 1),
        }
        if encoder_decoder:
            values |= {
                "start_token": said.get("decoder_start_token_id"),
                "forced_end_token": said.get("forced_eos_token_id"),
                "beams": said.get("num_beams") or 1,
                "length_penalty": float(said.get("length_penalty") or 1.0),
            }
            if values["start_token"] is None:
                raise ModelRefused("config.json has no decoder_start_token_id")
        try:
            return DecodingSection.model_validate(values)
        except ValidationError as error:
            raise ModelRefused(f"config.json and generation_config.json: {error}") from None

    def _read(self, name: str) -> dict[str, Any]:
        path = self._folder / name if self._folder else None
        if not path or not path.is_file():
            return {}
        try:
            found = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError as error:
            raise ModelRefused(f"{path}: not JSON: {error}") from None
        if not isinstance(found, dict):
            raise ModelRefused(f"{path}: expected an object")
        return found
