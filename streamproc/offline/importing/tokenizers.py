"""The tokenizer that a model's token ids are of."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer

from streamproc.errors import ModelRefused, SettingsError
from streamproc.repository.repository import StoredEnsemble

_PADDING_TOKENS = ("[PAD]", "<pad>", "<PAD>", "[pad]")


def read_tokenizer(path: Path) -> bytes:
    """The bytes of a `tokenizer.json`; raises ModelRefused."""
    try:
        content = path.read_bytes()
        Tokenizer.from_buffer(content)
    except OSError as error:
        raise ModelRefused(f"{path}: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001  # the library's errors are plain
        raise ModelRefused(f"{path}: not a tokenizer.json: {error}") from None
    return content


def require_same(content: bytes, path: Path, stored: StoredEnsemble) -> None:
    """Raise ModelRefused unless a tokenizer is the ensemble's.

    Truncation and padding, which a worker does by itself, may differ.
    """
    if _essence(content) != _essence(stored.tokenizer()):
        raise ModelRefused(
            f"{path} is another tokenizer than that of the ensemble {stored.manifest.name}, "
            f"{stored.folder / stored.manifest.tokenizer.file}: members share token ids; make an "
            "ensemble of its own (--ensemble)"
        )


def padding_token(content: bytes, said: str | None) -> int:
    """The id of the padding token: as said, a token or its id; or as the tokenizer has it; or 0.

    Raises SettingsError where there is no such token.
    """
    tokenizer = Tokenizer.from_buffer(content)
    if said is not None:
        # A number is an id, though vocabularies have words of digits.
        found = int(said) if said.isdecimal() else tokenizer.token_to_id(said)
        if found is not None:
            return int(found)
        raise SettingsError(f"--pad-token {said!r}: neither an id nor a token of the tokenizer")
    padding = json.loads(content).get("padding") or {}
    for token in (padding.get("pad_token"), *_PADDING_TOKENS):
        if token is not None and (found := tokenizer.token_to_id(token)) is not None:
            return int(found)
    return 0


def _essence(content: bytes) -> object:
    definition = json.loads(content)
    definition["truncation"] = definition["padding"] = None
    return definition
