"""translation: a text of any length, a sentence at a time, put together as the text was.

A sentence is a sequence of its own, so that a book's sentences and those of other requests are
decoded side by side. One longer than the members take is cut at a clause, a word or a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from streamproc.errors import AnswerTooLarge, Invalid
from streamproc.messages.response import Coverage, MemberStatus
from streamproc.serving.chunking.clauses import pieces
from streamproc.serving.chunking.sentences import Sentence, sentences
from streamproc.serving.decoding.prompt import Outcome, Prompt
from streamproc.serving.decoding.search import Decoded
from streamproc.serving.tasks.decoding_task import Architecture, DecodingTask, step_combiner
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import Answer, Inputs, Job, Params, TextInputs
from streamproc.serving.tasks.translated_text import TranslatedText
from streamproc.serving.tasks.translation_search import (
    SentenceSearch,
    TranslationParams,
)
from streamproc.types import Int64Array

# No topic takes more; beyond this an answer is not put together any further.
MAX_WRITTEN_CHARACTERS = 64 * 1024 * 1024

_LINE_END = re.compile(r"\s*[\n\r\x0b\x0c\x85\u2028\u2029]\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentencePrompt(Prompt):
    """A sentence, or a piece of one, to be translated.

    alone: the member that does so by itself, as its own result was asked for; None: all together
    """

    sentence: Sentence
    alone: int | None


class TranslationJob(Job[SentencePrompt, Outcome]):
    """A text being translated."""

    def __init__(
        self, inputs: TextInputs, params: TranslationParams, profile: EnsembleSpec
    ) -> None:
        text = inputs.text
        self.characters = len(text)
        self._text = text
        self._profile = profile
        self._search = SentenceSearch(params, profile)
        self._asked = params.combine
        profile.chosen_step_strategy(params.combine)
        self._alone = range(len(profile.members)) if params.return_members else range(0)
        self._translation = TranslatedText(text)
        self._members = {member: TranslatedText(text) for member in self._alone}
        self._status: list[MemberStatus] = ["ok"] * len(profile.members)
        self._chunks, self._written = 0, 0
        self._steps, self._entropy, self._agreement = 0, 0.0, 0.0

    def chunks(self) -> Iterator[SentencePrompt]:
        tokenizer = self._profile.tokenizer
        frame, prefix = self._search.frame, self._search.prefix
        max_tokens = self._profile.window.max_tokens - frame.tokens - len(tokenizer.encode(prefix))
        if max_tokens < 1:
            raise Invalid(
                "invalid request",
                f"params.prefix: leaves no tokens for a sentence: {self._profile.name} takes "
                f"{self._profile.window.max_tokens} tokens",
            )

        def token_ends(part: str) -> list[int]:
            """Those of a part behind the prefix; tokens of the prefix alone are not the part's."""
            ends = tokenizer.encode(prefix + part).offsets[:, 1] - len(prefix)
            return [int(end) for end in ends if end > 0]

        for sentence in sentences(self._text):
            for piece in pieces(self._text, sentence, token_ends, max_tokens):
                ids = self._ids(self._text[piece.start : piece.end])
                if len(ids):
                    framed = np.concatenate((frame.before, ids, frame.after))
                    yield self._prompt(framed, piece, None)
                    for member in self._alone:
                        yield self._prompt(framed, piece, member)

    def add(self, chunk: SentencePrompt, outputs: Outcome) -> None:
        """As every job; also raises AnswerTooLarge."""
        for member in outputs.failures:
            self._status[member] = outputs.status(member)
        decoded = outputs.decoded
        of = self._translation if chunk.alone is None else self._members[chunk.alone]
        if decoded is None:
            of.complete = False
            return
        written = self._profile.tokenizer.decode(decoded.tokens).strip()
        self._written += len(written)
        if self._written > MAX_WRITTEN_CHARACTERS:
            raise AnswerTooLarge(
                "answer too large",
                f"more than {MAX_WRITTEN_CHARACTERS} characters were written by character "
                f"{chunk.sentence.start} of {self.characters}; send the text in parts, or without "
                "params.return_members",
            )
        of.add(chunk.sentence, written, finished=decoded.finish_reason == "stop")
        if chunk.alone is None:
            self._count(decoded)

    def answer(self) -> Answer:
        return Answer(
            result=self._translation.result(),
            members=self._profile.member_reports(
                self._status,
                {index: own.result() for index, own in self._members.items() if own.complete},
            ),
            agreement=self._agreement / self._steps if self._steps else 1.0,
            entropy=self._entropy / self._steps if self._steps else 0.0,
            coverage=Coverage(
                chunks=self._chunks,
                characters=self.characters,
                characters_covered=self.characters,
                truncated=False,
            ),
        )

    def _ids(self, piece: str) -> Int64Array:
        """Tokens of the prefix and a piece, its line ends read as spaces."""
        tokenizer, prefix = self._profile.tokenizer, self._search.prefix
        ids = tokenizer.encode(prefix + _LINE_END.sub(" ", piece)).ids
        # Text without the line ends may, rarely, have more tokens than the text they were found in.
        fits = len(ids) + self._search.frame.tokens <= self._profile.window.max_tokens
        return ids if fits else tokenizer.encode(prefix + piece).ids

    def _prompt(self, ids: Int64Array, sentence: Sentence, alone: int | None) -> SentencePrompt:
        return SentencePrompt(
            ids=ids,
            new_search=partial(self._search.begin, ids),
            combine=step_combiner(self._profile, self._asked, ids, goes_on=False),
            max_new_tokens=self._search.options.max_new_tokens,
            members=tuple(range(len(self._profile.members))) if alone is None else (alone,),
            needed_members=self._profile.needed_members if alone is None else 0,
            beams=self._search.options.beams,
            sentence=sentence,
            alone=alone,
        )

    def _count(self, decoded: Decoded) -> None:
        steps = len(decoded.tokens) + 1
        self._chunks += 1
        self._steps += steps
        self._entropy += decoded.entropy * steps
        self._agreement += decoded.agreement * steps


class Translation(DecodingTask):
    """Every sentence of the text is translated; nothing is ever cut off."""

    name: ClassVar[str] = "translation"
    inputs: ClassVar[type[Inputs]] = TextInputs
    params: ClassVar[type[Params]] = TranslationParams
    job = TranslationJob
    architecture: ClassVar[Architecture] = "encoder-decoder"
