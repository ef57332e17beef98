"""The tokenizer that a model's token ids are of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer

from streamproc.errors import ModelRefused, OperatorError, SettingsError
from streamproc.offline.importing.import_source import ImportSource
from streamproc.offline.importing.marian import has_marian_tokenizer, marian_tokenizer
from streamproc.repository.repository import StoredEnsemble

_PADDING_TOKENS = ("[PAD]", "<pad>", "<PAD>", "[pad]")


# In what folders have a tokenizer that is no tokenizer.json.
_OLDER_TOKENIZERS = (
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "tokenizer.model",
)

MakeTokenizer = Callable[[Path], bytes]
"""A tokenizer.json of a Hugging Face folder's older files; raises OperatorError."""


def find_tokenizer(source: ImportSource, make_tokenizer: MakeTokenizer | None) -> bytes:
    """The tokenizer.json that the model's token ids are of; raises ModelRefused, SettingsError."""
    folder = source.files.folder
    path = source.options.tokenizer or source.config.tokenizer
    own = _read(path) if path else None
    if own is None and folder:
        path, own = folder, _made_tokenizer(folder, make_tokenizer)
    if source.stored:
        if own and path:
            _require_same(own, path, source.stored)
        return source.stored.tokenizer()
    if own is None:
        question = "Where is the tokenizer.json that the model's token ids are of?"
        own = _read(Path(source.prompter.ask(question, "--tokenizer FILE")))
    return own


def _made_tokenizer(folder: Path, make: MakeTokenizer | None) -> bytes | None:
    """A tokenizer.json of other files, if the folder has such."""
    if has_marian_tokenizer(folder):
        return marian_tokenizer(folder)
    older = sorted(name for name in _OLDER_TOKENIZERS if (folder / name).is_file())
    if not older or make is None:
        return None
    try:
        return make(folder)
    except OperatorError as error:
        raise ModelRefused(
            f"{error}. It has {', '.join(older)}: make one where transformers and sentencepiece "
            'are (AutoTokenizer.from_pretrained("FOLDER").save_pretrained("FOLDER")), or name '
            "another (--tokenizer FILE)"
        ) from error


def _read(path: Path) -> bytes:
    """The bytes of a `tokenizer.json`; raises ModelRefused."""
    try:
        content = path.read_bytes()
        Tokenizer.from_buffer(content)
    except OSError as error:
        raise ModelRefused(f"{path}: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001  # the library's errors are plain
        raise ModelRefused(f"{path}: not a tokenizer.json: {error}") from None
    return content


def _require_same(content: bytes, path: Path, stored: StoredEnsemble) -> None:
    """Raise ModelRefused unless a tokenizer is the ensemble's.

    Truncation and padding, which a worker does by itself, may differ.
    """
    if _essence(content) != _essence(stored.tokenizer()):
        raise ModelRefused(
            f"{path} is another tokenizer than that of the ensemble {stored.name}, "
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
