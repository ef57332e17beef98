"""A translated text being put together as its source was."""

from __future__ import annotations

import unicodedata

from streamproc.serving.chunking.sentences import Sentence
from streamproc.types import JsonObject


class TranslatedText:
    """What was written for each sentence, and what stood between them in the source.

    complete: whether every sentence has been translated; false where its member was lost in one
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._parts: list[str] = []
        self._done_to = 0
        self._unfinished: list[Sentence] = []
        self.complete = True

    def add(self, sentence: Sentence, written: str, *, finished: bool) -> str:
        """The translation of the next sentence; returns what the text is longer by."""
        between = self._text[self._done_to : sentence.start]
        if not between and self._parts and not _is_wide(self._parts[-1][-1:]):
            # Sentences that need no space between them, as Chinese ones, in a language that does.
            between = " "
        self._parts += [between, written]
        self._done_to = sentence.end
        if not finished:
            self._unfinished.append(sentence)
        return between + written

    def text(self) -> str:
        """The translation with what stands behind the last sentence in the source."""
        return "".join((*self._parts, self._text[self._done_to :]))

    def result(self) -> JsonObject:
        """transformers' key, and whether, and where, a sentence came to no end."""
        return {
            "translation_text": self.text(),
            "finish_reason": "length" if self._unfinished else "stop",
            "unfinished": [{"start": start, "end": end} for start, end in self._unfinished],
        }


def _is_wide(character: str) -> bool:
    """Whether it is of a script that puts no spaces between words, or there is none."""
    return not character or unicodedata.east_asian_width(character) in "WF"
