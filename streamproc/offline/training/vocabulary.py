"""A tokenizer with fewer words, and which of the base's embedding rows it keeps."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from streamproc.errors import TrainingError

_CONTINUATION = "##"
# Every printable ASCII character, and the punctuation that word processors put in its place.
_ALPHABET = frozenset(map(chr, range(33, 127))) | frozenset("–—‘’“”…•·£€©®™°½")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A WordPiece tokenizer of one ensemble, cut down from its base.

    tokenizer: without truncation and padding: the pipeline cuts and pads by itself
    kept:      (len(vocabulary),) the base's token id of each new id, rising
    """

    tokenizer: Tokenizer
    kept: Sequence[int]


def trim_vocabulary(base: Path, texts: Iterable[str], size: int) -> Vocabulary:
    """The tokens that the texts use most, in the base's order.

    Special tokens, printable ASCII and every single character that the texts hold stay, alone and
    as continuation, so that a word left out falls into pieces rather than to the unknown token.

    base: a folder with a WordPiece `tokenizer.json`
    size: how many tokens at most, specials included
    Raises TrainingError when the base has another kind of tokenizer, or size is too small.
    """
    spec = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    if spec["model"].get("type", "WordPiece") != "WordPiece":
        raise TrainingError(f"{base}: only a WordPiece tokenizer can be trimmed.")
    spec["truncation"] = spec["padding"] = None
    full = Tokenizer.from_str(json.dumps(spec))
    # Of words that were added to a base, most stand beside its vocabulary.
    added = {token["content"]: token["id"] for token in spec["added_tokens"]}
    vocabulary: dict[str, int] = {**spec["model"]["vocab"], **added}

    used: Counter[str] = Counter()
    for text in texts:
        # Once a text: a word repeated in one long review is no more useful than one said once.
        used.update(set(full.encode(text).tokens))
    must = set(added)
    seen = {token.removeprefix(_CONTINUATION) for token in used}
    characters = _ALPHABET | {token for token in seen if len(token) == 1}
    must |= {form for c in characters for form in (c, _CONTINUATION + c)}
    must &= vocabulary.keys()
    if len(must) > size:
        raise TrainingError(
            f"A vocabulary of {size} is too small: characters alone are {len(must)}."
        )

    # Ties go to the smaller id, which is what makes the choice the same every time.
    ranked = sorted(used.keys() - must, key=lambda token: (-used[token], vocabulary[token]))
    chosen = sorted(must | set(ranked[: size - len(must)]), key=vocabulary.__getitem__)

    ids = {token: new for new, token in enumerate(chosen)}
    spec["model"]["vocab"] = ids
    for token in spec["added_tokens"]:
        token["id"] = ids[token["content"]]
    _renumber(spec["post_processor"] or {}, ids)
    return Vocabulary(
        Tokenizer.from_str(json.dumps(spec)), tuple(vocabulary[token] for token in chosen)
    )


def _renumber(processor: dict[str, Any], ids: Mapping[str, int]) -> None:
    """Give the tokens that are put around a text their new ids, however it names them."""
    for special in processor.get("special_tokens", {}).values():  # TemplateProcessing
        special["ids"] = [ids[token] for token in special["tokens"]]
    for end in ("cls", "sep"):  # BertProcessing
        if end in processor:
            token, _ = processor[end]
            processor[end] = [token, ids[token]]
    for inner in processor.get("processors", ()):  # Sequence
        _renumber(inner, ids)
