"""Text to tokens whose offsets are characters of the text, a segment at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import orjson
from tokenizers import Encoding, Tokenizer

from streamproc.errors import ModelRefused
from streamproc.frozen import frozen
from streamproc.panics import LibraryPanicked, panics_as_exceptions
from streamproc.serving.chunking.joining import Piece, joined_pieces
from streamproc.serving.chunking.pair_frame import PairFrame
from streamproc.types import Int64Array

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_LANGUAGE = re.compile(r"[a-z]{2,3}_(?:[A-Z]{2}|[A-Z][a-z]{3})|__([a-z]{2,3})__")


@frozen()
class PieceSpans:
    """Offsets of tokens of a piece, from `first` to before `stop`, made once somebody asks."""

    piece: Piece
    first: int
    stop: int

    def __call__(self) -> Int64Array:
        """(tokens, 2) int64 characters"""
        return self.piece.offsets[self.first : self.stop]

    def of(self, token: int) -> tuple[int, int]:
        """One token's; those of all take forty times as long to make."""
        return self.piece.span(range(self.first, self.stop)[token])

    def part(self, place: slice) -> PieceSpans:
        """Of some of the tokens."""
        kept = range(self.first, self.stop)[place]
        return PieceSpans(self.piece, kept.start, kept.stop)


@frozen(slots=False)
class Tokens:
    """A run of tokens without special ones.

    ids:   (tokens,) int64
    spans: their offsets, (tokens, 2) int64, or what makes them; few tasks need those of all tokens
    """

    ids: Int64Array
    spans: Int64Array | PieceSpans

    @cached_property
    def offsets(self) -> Int64Array:
        """(tokens, 2) int64, first and one past the last character of the whole text."""
        return self.spans() if isinstance(self.spans, PieceSpans) else self.spans

    def span(self, token: int) -> tuple[int, int]:
        """First and one past the last character of one token."""
        if isinstance(self.spans, PieceSpans):
            return self.spans.of(token)
        start, end = self.spans[token].tolist()
        return start, end

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, place: slice) -> Self:
        """Some of the tokens."""
        spans = self.spans
        kept = spans.part(place) if isinstance(spans, PieceSpans) else spans[place]
        return replace(self, ids=self.ids[place], spans=kept)

    def joined(self, after: Self) -> Self:
        """These tokens and those `after` them."""
        ids, offsets = (self.ids, after.ids), (self.offsets, after.offsets)
        return replace(self, ids=np.concatenate(ids), spans=np.concatenate(offsets))


@frozen(slots=False)
class WordTokens(Tokens):
    """Tokens that know the word they are of: what the tokenizer's pre-tokenizer cuts a text into.

    words: (tokens, 2) int64, first and one past the last character of each token's whole word
    """

    words: Int64Array

    def part(self, place: slice) -> Self:
        ids, offsets, words = self.ids[place], self.offsets[place], self.words[place]
        return replace(self, ids=ids, spans=offsets, words=words)

    def joined(self, after: Self) -> Self:
        ids, offsets = (self.ids, after.ids), (self.offsets, after.offsets)
        return replace(
            self,
            ids=np.concatenate(ids),
            spans=np.concatenate(offsets),
            words=np.concatenate((self.words, after.words)),
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """The special tokens that a model expects around a single text.

    before, after: token ids, int64
    before_types, after_types: their token types, as many; Funnel's first token has one of its own
    type_id: the token type of every token of a single text
    """

    before: Int64Array
    after: Int64Array
    before_types: Int64Array
    after_types: Int64Array
    type_id: int

    @property
    def tokens(self) -> int:
        """How many special tokens there are."""
        return len(self.before) + len(self.after)


class _SpellingLengths(dict[int, int]):
    """By token, of those that were asked for; the library takes ten times as long to tell."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, token: int) -> int:
        self[token] = length = len(self._tokenizer.id_to_token(token) or "")
        return length


class TextTokenizer:
    """A tokenizer of the tokenizers library, without the truncation and padding it may bring.

    marks_continuations: whether tokens that continue a word are spelt with a prefix, as "##ing"
    unknown_id: the token that stands for what the vocabulary lacks; None where there is none
    """

    def __init__(self, definition: bytes) -> None:
        """Read a `tokenizer.json`; raises ModelRefused when it is none."""
        try:
            # from_buffer and from_str raise plain Exception for whatever is wrong with the file.
            with panics_as_exceptions():
                self._tokenizer = Tokenizer.from_buffer(definition)
        except Exception as error:  # noqa: BLE001
            raise ModelRefused(f"not a tokenizer.json: {error}") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._spelling_lengths = _SpellingLengths(self._tokenizer)
        self.vocabulary_size: int = self._tokenizer.get_vocab_size(with_added_tokens=True)
        self.frame = _frame(self._with_special("a"))
        model = orjson.loads(definition)["model"]
        self.marks_continuations = bool(model.get("continuing_subword_prefix"))
        self.unknown_id: int | None = model.get("unk_id")
        if model.get("unk_token"):
            self.unknown_id = self._tokenizer.token_to_id(model["unk_token"])

    def spelling(self, token: int) -> str:
        """A token as the vocabulary writes it; empty where there is none of that id."""
        return self._tokenizer.id_to_token(token) or ""

    def spelling_lengths(self, ids: Int64Array) -> list[int]:
        """How many characters the vocabulary writes each token with."""
        known = self._spelling_lengths
        return [known[token] for token in ids.tolist()]

    def ends_bytes(self, token: int) -> bool:
        """Whether no later token can change the text of this one and of those before it.

        Not so of a byte, as Llama's decoder writes a run of them anew with each that comes, and of
        a token without text, which does not end such a run.
        """
        return token not in self._bytes_and_special and bool(self.spelling(token))

    @cached_property
    def _bytes_and_special(self) -> frozenset[int]:
        added = self._tokenizer.get_added_tokens_decoder()
        special = (token for token, one in added.items() if one.special)
        spelt = self._tokenizer.get_vocab().items()
        return frozenset((*special, *(token for one, token in spelt if _BYTE.fullmatch(one))))

    @cached_property
    def languages(self) -> dict[str, int]:
        """Tokens that stand for a language, by its code: de_DE (mBART), deu_Latn (NLLB), de, which
        M2M100 spells __de__; none in the tokenizer of a model that has no such tokens."""
        return {
            found[1] or found[0]: token
            for token, added in self._tokenizer.get_added_tokens_decoder().items()
            if (found := _LANGUAGE.fullmatch(added.content))
        }

    @cached_property
    def pair_frame(self) -> PairFrame:
        """What stands around a pair of texts; raises ModelRefused where pairs are not encoded."""
        return PairFrame.of(self._with_special("a", "a"))

    def stream(self, text: str, known: Encoding | None = None) -> Iterator[Tokens]:
        """The tokens of `text` in order, a segment at a time; those it has when encoded at once.

        known: of `encode_each`, where that has been asked
        """
        for piece, kept in self._pieces(text, known):
            ids = piece.ids[kept]
            yield Tokens(ids, PieceSpans(piece, kept.start, kept.start + len(ids)))

    def word_stream(self, text: str, known: Encoding | None = None) -> Iterator[WordTokens]:
        """The same, each token with its word."""
        for piece, kept in self._pieces(text, known):
            words = _words(piece.encoding, piece.offsets)
            yield WordTokens(piece.ids[kept], piece.offsets[kept], words[kept])

    def encode(self, text: str) -> Tokens:
        """The tokens of a short text, all at once; raises LibraryPanicked."""
        encoding = self._encode(text)
        return Tokens(_ids(encoding), _offsets(encoding))

    def encode_each(self, texts: Sequence[str]) -> list[Encoding]:
        """Texts of a segment at most, for `stream`: in one call, on threads of the library's own.

        May be called from any thread. Raises LibraryPanicked.
        """
        with panics_as_exceptions():
            return self._tokenizer.encode_batch(texts, add_special_tokens=False)  # type: ignore[no-any-return]

    def decode(self, ids: Int64Array | Sequence[int]) -> str:
        """The text of tokens, special ones left out; ids that it does not know make no text."""
        with panics_as_exceptions():
            return str(self._tokenizer.decode(np.asarray(ids).tolist(), skip_special_tokens=True))

    def _pieces(self, text: str, known: Encoding | None) -> Iterator[tuple[Piece, slice]]:
        if not text:
            return
        if known is not None:
            yield Piece(known, 0, len(text)), slice(0, None)
            return
        yield from joined_pieces(self._encode, text)

    def _encode(self, text: str) -> Encoding:
        with panics_as_exceptions():
            return self._tokenizer.encode(text, add_special_tokens=False)

    def _with_special(self, text: str, pair: str | None = None) -> Encoding:
        """A text or pair as models expect it; raises ModelRefused where it can't be encoded."""
        try:
            with panics_as_exceptions():
                return self._tokenizer.encode(text, pair)
        except LibraryPanicked as panic:
            raise ModelRefused(f"its tokenizer.json can't be used: {panic}") from None


def _ids(encoding: Encoding) -> Int64Array:
    return np.array(encoding.ids, dtype=np.int64)


def _offsets(encoding: Encoding) -> Int64Array:
    return np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)


def _words(encoding: Encoding, offsets: Int64Array) -> Int64Array:
    numbers = encoding.word_ids
    if not numbers or None in numbers:
        # A token of no word stands for itself.
        return offsets
    begins = np.flatnonzero(np.diff(np.array(numbers, np.int64), prepend=-1))
    lengths = np.diff(begins, append=len(numbers))
    spans = np.stack((offsets[begins, 0], offsets[begins + lengths - 1, 1]), axis=-1)
    return np.repeat(spans, lengths, axis=0)


def _frame(encoding: Encoding) -> Frame:
    special = encoding.special_tokens_mask
    ids = _ids(encoding)
    text = [index for index, mask in enumerate(special) if not mask]
    if not text:
        raise ModelRefused("the tokenizer gives only special tokens for the text 'a'")
    before, after = slice(text[0]), slice(text[-1] + 1, None)
    types = np.array(encoding.type_ids, np.int64)
    return Frame(ids[before], ids[after], types[before], types[after], int(types[text[0]]))
