"""The tokenizer.json of a folder that has its tokenizer in transformers' older files."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer

from streamproc.errors import TrainingError


def fast_tokenizer(folder: Path) -> bytes:
    """What transformers makes of vocab.txt, of vocab.json and merges.txt, and the like.

    Raises TrainingError where it can't; nothing in the folder is run, nothing is downloaded.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, local_files_only=True)
    except Exception as error:  # transformers, tokenizers and protobuf share no base
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise TrainingError(
            f"{folder} has no tokenizer.json, and transformers makes none of what is there: "
            f"{lines[0]}"
        ) from error
    if not tokenizer.is_fast:
        raise TrainingError(
            f"{folder} has no tokenizer.json, and transformers has none for a "
            f"{type(tokenizer).__name__}"
        )
    written: str = tokenizer.backend_tokenizer.to_str()
    return written.encode()
