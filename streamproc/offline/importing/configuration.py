"""What a Hugging Face folder says of its model, beside the weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from streamproc.errors import ModelRefused
from streamproc.offline.importing.generation import decoding_section
from streamproc.offline.importing.kinds import require_kinds
from streamproc.repository.decoding_section import DecodingSection
from streamproc.serving.inference.cache_rows import BLOCK

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
# Positions begin behind the padding token.
_BEHIND_PADDING = ("roberta", "camembert", "mpnet", "ibert", "data2vec-text", "longformer", "esm")
# A table of all places is cut to the columns of the cache, and can't be cut beyond its end.
_TABLED = ("gpt_neo", "mpt")


def _whole_blocks(positions: int) -> int:
    """The most tokens whose cache, which has whole blocks, and one more have places in a table."""
    return (positions - 1) // BLOCK * BLOCK + 1


class Configuration:
    """`config.json` and what else lies in the folder; of a model without one, nothing."""

    def __init__(self, folder: Path | None) -> None:
        """Read; raises ModelRefused where a file is not JSON."""
        self._folder = folder
        self._config = self._read("config.json")
        # As transformers has it: a file of their own holds all settings, but for tokens.
        own = self._read("generation_config.json")
        tokens = ("eos_token_id", "decoder_start_token_id")
        inherited = {name: self._config[name] for name in tokens if name in self._config}
        self._generation = {**inherited, **own} if own else self._config

    @property
    def is_there(self) -> bool:
        """Whether the folder says anything of its model."""
        return bool(self._config or self._generation)

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

        Raises ModelRefused where the file names them in another way.
        """
        named: Mapping[str, Any] = self._config.get("id2label") or {}
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
        # transformers leaves its default of two labels without names out of the file.
        return 2 if self.model_type else None

    @property
    def problem_type(self) -> str | None:
        """What the head was trained for, as transformers names it; None where it is not said."""
        said = self._config.get("problem_type")
        return None if said is None else str(said)

    @property
    def score_function(self) -> str | None:
        """What transformers' pipeline makes scores by, where the file says it."""
        said = self._config.get("function_to_apply")
        return None if said is None else str(said)

    @property
    def model_type(self) -> str | None:
        """The model's family, as transformers names it."""
        said = self._config.get("model_type")
        return None if said is None else str(said)

    @property
    def vocabulary(self) -> int | None:
        """How many tokens the model has, where the file says it."""
        said = self._config.get("vocab_size")
        return said if isinstance(said, int) else None

    @property
    def padding_token(self) -> int | None:
        """The id of the padding token, where the file says it."""
        said = self._config.get("pad_token_id")
        return said if isinstance(said, int) else None

    @property
    def positions(self) -> int | None:
        """The longest input in tokens; None where it is not said."""
        for key in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"):
            if isinstance(found := self._config.get(key), int):
                if any(name in str(self.model_type) for name in _BEHIND_PADDING):
                    return found - 1 - (self.padding_token or 0)
                return _whole_blocks(found) if self.model_type in _TABLED else found
        return None

    @property
    def license(self) -> str:
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

    def decoding(self, *, encoder_decoder: bool, task: str | None = None) -> DecodingSection:
        """How the model writes; raises ModelRefused where that can't be had.

        task: as transformers names those that a model was made for, as translation_en_to_de
        """
        said, prefix = self._generation, self._config.get("prefix")
        own = self._of_task(task) if encoder_decoder else self._tasks.get("text-generation")
        if own:
            prefix, said = own.get("prefix", prefix), {**said, **own}
        return decoding_section(
            said, encoder_decoder=encoder_decoder, positions=self.positions, prefix=prefix or ""
        )

    @property
    def _tasks(self) -> dict[str, dict[str, Any]]:
        found = self._config.get("task_specific_params") or {}
        if not isinstance(found, dict) or not all(isinstance(own, dict) for own in found.values()):
            raise ModelRefused("config.json: task_specific_params are not settings by task")
        return found

    def _of_task(self, task: str | None) -> dict[str, Any] | None:
        """The settings for a way of translating; raises ModelRefused where one must be chosen."""
        found = [name for name in self._tasks if name.startswith("translation")]
        if task in found or len(found) == 1:
            return self._tasks[task if task in found else found[0]]
        if len(found) > 1 or (task or "").startswith("translation_"):
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
            found = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError as error:
            raise ModelRefused(f"{path}: not JSON: {error}") from None
        if not isinstance(found, dict):
            raise ModelRefused(f"{path}: expected an object")
        require_kinds(found, str(path))
        return found
