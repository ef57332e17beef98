"""translation: a text of any length, a sentence at a time, put together as the text was.

A sentence longer than the members take is cut at a clause, a word or a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from streamproc.serving.chunking.clauses import pieces
from streamproc.serving.chunking.sentences import Sentence, sentences
from streamproc.serving.tasks.decoding_task import Architecture, DecodingTask
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.seq2seq_job import Seq2SeqJob
from streamproc.serving.tasks.seq2seq_search import Seq2SeqParams
from streamproc.serving.tasks.task import Inputs, Params, TextInputs
from streamproc.serving.tasks.translated_text import TranslatedText
from streamproc.types import Int64Array

# A run of blanks is looked at once: a pattern that begins with any number of them, and goes on with
# a line end, would begin anew at each.
_BLANKS = re.compile(r"\s+")
_LINE_END = re.compile(r"[\n\r\x0b\x0c\x85\u2028\u2029]")


class TranslationJob(Seq2SeqJob):
    """A text being translated."""

    def __init__(self, inputs: TextInputs, params: Seq2SeqParams, spec: EnsembleSpec) -> None:
        super().__init__(inputs.text, params, spec)

    def new_text(self) -> TranslatedText:
        return TranslatedText(self._text)

    def spans(self, most_tokens: int) -> Iterator[tuple[Sentence, Int64Array]]:
        max_tokens = most_tokens - self.prefix_tokens
        for sentence in sentences(self._text):
            for piece in pieces(self._text, sentence, self.token_ends, max_tokens):
                yield piece, self._ids(self._text[piece.start : piece.end], most_tokens)

    def _ids(self, piece: str, most_tokens: int) -> Int64Array:
        """Tokens of the prefix and a piece, its line ends read as spaces."""
        tokenizer, prefix = self._spec.tokenizer, self._search.prefix
        ids = tokenizer.encode(prefix + _BLANKS.sub(_on_one_line, piece)).ids
        # Text without the line ends may, rarely, have more tokens than the text they were found in.
        return ids if len(ids) <= most_tokens else tokenizer.encode(prefix + piece).ids


def _on_one_line(blanks: re.Match[str]) -> str:
    return " " if _LINE_END.search(blanks[0]) else blanks[0]


class Translation(DecodingTask):
    """Every sentence of the text is translated; nothing is ever cut off."""

    name: ClassVar[str] = "translation"
    inputs: ClassVar[type[Inputs]] = TextInputs
    params: ClassVar[type[Params]] = Seq2SeqParams
    job = TranslationJob
    text_field: ClassVar[str] = "translation_text"
    architecture: ClassVar[Architecture] = "encoder-decoder"
