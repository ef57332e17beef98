"""Text to tokens whose offsets are characters of the text, a segment at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from streamproc.chunking.segments import segments
from streamproc.errors import ModelRefused

Int64Array = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A run of tokens without special ones.

    ids:     (tokens,) int64
    offsets: (tokens, 2) int64, first and one past the last character of the whole text
    """

    ids: Int64Array
    offsets: Int64Array

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Frame:
    """The special tokens that a model expects around a single text.

    before, after: token ids, int64
    type_id: the token type of every token of a single text
    """

    before: Int64Array
    after: Int64Array
    type_id: int

    @property
    def tokens(self) -> int:
        """How many special tokens there are."""
        return len(self.before) + len(self.after)


class TextTokenizer:
    """A tokenizer of the tokenizers library, without the truncation and padding it may bring.

    marks_continuations: whether tokens that continue a word are spelt with a prefix, as "##ing"
    unknown_id: the token that stands for what the vocabulary lacks; None where there is none
    """

    def __init__(self, definition: bytes) -> None:
        """Read a `tokenizer.json`; raises ModelRefused when it is none."""
        try:
            # from_buffer and from_str raise plain Exception for whatever is wrong with the file.
            self._tokenizer = Tokenizer.from_buffer(definition)
        except Exception as error:  # noqa: BLE001
            raise ModelRefused(f"not a tokenizer.json: {error}") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.vocabulary_size: int = self._tokenizer.get_vocab_size(with_added_tokens=True)
        self.frame = _frame(self._tokenizer.encode("a"))
        model = orjson.loads(definition)["model"]
        self.marks_continuations = bool(model.get("continuing_subword_prefix"))
        self.unknown_id: int | None = model.get("unk_id")
        if model.get("unk_token"):
            self.unknown_id = self._tokenizer.token_to_id(model["unk_token"])

    def spelling(self, token: int) -> str:
        """A token as the vocabulary writes it; empty where there is none of that id."""
        return self._tokenizer.id_to_token(token) or ""

    def stream(self, text: str) -> Iterator[Tokens]:
        """The tokens of `text` in order, a segment at a time."""
        for start, end in segments(text):
            encoding = self._tokenizer.encode(text[start:end], add_special_tokens=False)
            offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
            yield Tokens(np.array(encoding.ids, dtype=np.int64), offsets + start)

    def encode(self, text: str) -> Tokens:
        """The tokens of a short text, all at once."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        return Tokens(np.array(encoding.ids, dtype=np.int64), offsets)

    def decode(self, ids: Int64Array | Sequence[int]) -> str:
        """The text of tokens, special ones left out; ids that it does not know make no text."""
        return str(self._tokenizer.decode(np.asarray(ids).tolist(), skip_special_tokens=True))


def _frame(encoding: Encoding) -> Frame:
    special = encoding.special_tokens_mask
    ids = np.array(encoding.ids, dtype=np.int64)
    text = [index for index, mask in enumerate(special) if not mask]
    if not text:
        raise ModelRefused("the tokenizer makes nothing but special tokens of the text 'a'")
    return Frame(ids[: text[0]], ids[text[-1] + 1 :], int(encoding.type_ids[text[0]]))
