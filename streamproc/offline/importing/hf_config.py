"""What a Hugging Face folder says of its model, beside the weights."""

from __future__ import annotations

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from streamproc.errors import ModelRefused
from streamproc.messages.validation import in_json_words
from streamproc.offline.importing.generation_config import (
    decoding_section,
    summarising_defaults,
)
from streamproc.repository.decoding_section import DecodingSection
from streamproc.serving.inference.cache_rows import BLOCK

_TASKS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "MTModel": "translation",
}
# Encoder-decoders that write a text anew; of the others only settings or the model card tell which.
_WRITES_ANEW = "ForConditionalGeneration"
_REWRITING = ("translation", "summarization")
_ONLY = {
    "m2m_100": "translation",
    "nllb-moe": "translation",
    "fsmt": "translation",
    "pegasus": "summarization",
    "pegasus_x": "summarization",
    "bigbird_pegasus": "summarization",
    "led": "summarization",
}
_NAMELESS = re.compile(r"LABEL_\d+")
# Positions begin behind the padding token.
_BEHIND_PADDING = ("roberta", "camembert", "mpnet", "ibert", "data2vec-text", "longformer", "esm")
# A table of all places is cut to the columns of the cache, and can't be cut beyond its end.
_TABLED = ("gpt_neo", "mpt")


def _whole_blocks(positions: int) -> int:
    """The most tokens whose cache, which has whole blocks, and one more have places in a table."""
    return (positions - 1) // BLOCK * BLOCK + 1


class _GenerationConfig(BaseModel):
    """Kinds of values that transformers writes into its JSON files, as far as they are read."""

    model_config = ConfigDict(strict=True, extra="ignore")

    eos_token_id: int | list[int] | None = None
    forced_eos_token_id: int | list[int] | None = None
    decoder_start_token_id: int | None = None
    bad_words_ids: list[list[int]] | None = None
    max_length: int | None = None
    max_new_tokens: int | None = None
    min_length: int | None = None
    min_new_tokens: int | None = None
    num_beams: int | None = None
    prefix: str | None = None


class ModelConfig(_GenerationConfig):
    """What is read of `config.json`, by transformers' names."""

    architectures: list[str] | None = None
    model_type: str | None = None
    id2label: dict[str, str | int | float] | None = None
    num_labels: int | None = None
    problem_type: str | None = None
    function_to_apply: str | None = None
    pad_token_id: int | None = None
    vocab_size: int | None = None
    max_position_embeddings: int | None = None
    n_positions: int | None = None
    n_ctx: int | None = None
    max_seq_len: int | None = None
    task_specific_params: dict[str, _GenerationConfig] | None = None


class HfConfig:
    """`config.json` and what else lies in the folder; of a model without one, nothing.

    model: config.json
    """

    def __init__(self, folder: Path | None) -> None:
        """Read; raises ModelRefused where a file is not JSON, or a value of another kind."""
        self._folder = folder
        said = self._read("config.json")
        self.model = ModelConfig.model_validate(said)
        # As transformers has it: a file of their own holds all settings, but for tokens.
        own = self._read("generation_config.json")
        tokens = ("eos_token_id", "decoder_start_token_id")
        inherited = {name: said[name] for name in tokens if name in said}
        self._generation = {**inherited, **own} if own else said
        self._of_tasks: dict[str, dict[str, Any]] = said.get("task_specific_params") or {}

    @property
    def is_there(self) -> bool:
        """Whether the folder says anything of its model."""
        return bool(self._generation)

    @property
    def task(self) -> str | None:
        """What the architecture is for; None where it is not told, or may be for several."""
        for architecture in self.model.architectures or ():
            for ending, task in _TASKS.items():
                if architecture.endswith(ending):
                    return task
            if architecture.endswith(_WRITES_ANEW):
                return self._rewriting
        return None

    @property
    def writes_anew(self) -> bool:
        """Whether it is an encoder-decoder, which may translate or summarise."""
        named = self.model.architectures or ()
        return any(architecture.endswith(_WRITES_ANEW) for architecture in named)

    @property
    def _rewriting(self) -> str | None:
        """What an encoder-decoder writes: as its family does, its settings say, or its card."""
        family = _ONLY.get(str(self.model.model_type))
        if family is not None:
            return family
        settings = {task for task in _REWRITING if any(n.startswith(task) for n in self._of_tasks)}
        card = self._card
        tagged = {str(card.get("pipeline_tag"))} & set(_REWRITING)
        if not tagged and isinstance(tags := card.get("tags"), list):
            tagged = {str(tag) for tag in tags} & set(_REWRITING)
        for told in (tagged, settings):
            if len(told) == 1:
                return told.pop()
        return None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs in order, LABEL_0 included; none where there are none.

        Raises ModelRefused where the file names them in another way.
        """
        named = self.model.id2label or {}
        if not all(key.isascii() and key.isdecimal() for key in named):
            raise ModelRefused("config.json: id2label must be an object of names by output numbers")
        return tuple(str(named[key]) for key in sorted(named, key=int))

    @property
    def labels_are_named(self) -> bool:
        """Whether somebody gave the labels names, beyond LABEL_0."""
        return bool(self.labels) and not all(map(_NAMELESS.fullmatch, self.labels))

    @property
    def outputs(self) -> int | None:
        """How many outputs the head has, where the file says it."""
        if self.labels:
            return len(self.labels)
        if self.model.num_labels is not None:
            return self.model.num_labels
        # transformers leaves its default of two labels without names out of the file.
        return 2 if self.model.model_type else None

    @property
    def positions(self) -> int | None:
        """The longest input in tokens; None where it is not said."""
        model = self.model
        said = (model.max_position_embeddings, model.n_positions, model.n_ctx, model.max_seq_len)
        found = next((positions for positions in said if positions is not None), None)
        if found is None:
            return None
        if any(name in str(model.model_type) for name in _BEHIND_PADDING):
            return found - 1 - (model.pad_token_id or 0)
        return _whole_blocks(found) if model.model_type in _TABLED else found

    @property
    def license(self) -> str:
        """As the model card has it."""
        return str(self._card.get("license") or "")

    @cached_property
    def _card(self) -> dict[str, Any]:
        """What stands before the model card's text."""
        card = self._folder / "README.md" if self._folder else None
        if not card or not card.is_file():
            return {}
        head = re.match(
            r"---\n(.*?)\n---", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL
        )
        try:
            said = yaml.safe_load(head.group(1)) if head else None
        except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a day that is none
            return {}
        return said if isinstance(said, dict) else {}

    @property
    def tokenizer(self) -> Path | None:
        """The folder's `tokenizer.json`."""
        path = self._folder / "tokenizer.json" if self._folder else None
        return path if path and path.is_file() else None

    def decoding(
        self, *, encoder_decoder: bool, task: str | None = None, kind: str = "translation"
    ) -> DecodingSection:
        """How the model writes; raises ModelRefused where that can't be had.

        task: as transformers names those that a model was made for, as translation_en_to_de
        kind: of an encoder-decoder, translation or summarization
        """
        said, prefix = self._generation, self.model.prefix
        own = (
            self._of_task(task, kind) if encoder_decoder else self._of_tasks.get("text-generation")
        )
        if encoder_decoder and kind == "summarization":
            said = summarising_defaults(said, own or {})
        if own:
            prefix, said = own.get("prefix", prefix), {**said, **own}
        return decoding_section(
            said, encoder_decoder=encoder_decoder, positions=self.positions, prefix=prefix or ""
        )

    def _of_task(self, task: str | None, kind: str) -> dict[str, Any] | None:
        """The settings for a way of translating, or of summarising.

        As transformers' pipeline has it, a summariser goes by those that are named summarization,
        and by others only where they are asked for. Raises ModelRefused where one must be chosen.
        """
        found = [name for name in self._of_tasks if name.startswith(kind)]
        for name in (task, kind):
            if name in found:
                return self._of_tasks[name]
        translates = kind == "translation"
        if translates and len(found) == 1:
            return self._of_tasks[found[0]]
        if (translates and len(found) > 1) or (task or "").startswith(f"{kind}_"):
            known = ", ".join(found) or "none"
            raise ModelRefused(
                f"config.json has settings for {known}: say which is meant with --task"
            )
        return None

    def _read(self, name: str) -> dict[str, Any]:
        path = self._folder / name if self._folder else None
        if not path or not path.is_file():
            return {}
        try:
            # As transformers reads it: what Python writes may have Infinity in it.
            found = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise ModelRefused(f"{path}: not JSON: {error}") from None
        if not isinstance(found, dict):
            raise ModelRefused(f"{path}: expected an object")
        try:
            ModelConfig.model_validate(found)
        except ValidationError as error:
            faults = {str(fault["loc"][0]): fault for fault in error.errors(include_url=False)}
            told = "; ".join(f"{name}: {in_json_words(fault)}" for name, fault in faults.items())
            raise ModelRefused(f"{path}: {told}") from None
        return found
