"""A text written anew by encoder-decoders, a span at a time: what two tasks begin with.

A span is a sequence of its own, so that a book's and those of other requests are decoded side by
side.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol

import numpy as np

from streamproc.errors import AnswerTooLarge, Invalid
from streamproc.messages.response import Coverage, MemberStatus
from streamproc.serving.chunking.sentences import Sentence
from streamproc.serving.decoding.prompt import Outcome, Prompt
from streamproc.serving.decoding.search import Decoded
from streamproc.serving.tasks.decoding_task import step_combination
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.seq2seq_search import Seq2SeqParams, Seq2SeqSearch
from streamproc.serving.tasks.task import Answer, Job
from streamproc.types import Int64Array, JsonObject

# No topic takes more; beyond this an answer is not put together any further.
MAX_WRITTEN_CHARACTERS = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanPrompt(Prompt):
    """A span of a text, to be written anew.

    alone: the member that does so by itself, as its own result was asked for; None: all together
    """

    span: Sentence
    alone: int | None


class WrittenText(Protocol):
    """What was written for each span, being put together.

    complete: whether every span has been written; false where its member was lost in one
    """

    complete: bool

    def add(self, span: Sentence, written: str, *, finished: bool) -> str:
        """What was written of the next span; finished: whether it came to an end by itself.

        Returns what the text has become longer by.
        """
        ...

    def text(self) -> str:
        """All of it, so far."""
        ...

    def result(self) -> JsonObject:
        """The task's own, so far."""
        ...


class Seq2SeqJob(Job[SpanPrompt, Outcome]):
    """A text being written anew.

    covered_to: the characters that are read
    """

    def __init__(self, text: str, params: Seq2SeqParams, spec: EnsembleSpec) -> None:
        self.characters = self.covered_to = len(text)
        self._text = text
        self._spec = spec
        self._search = Seq2SeqSearch(params, spec)
        self._asked = params.combine
        self.wants_parts = params.stream
        # What is written by lot takes no seed here: nobody can ask for the same lots again.
        self.is_repeatable = not spec.decodes.do_sample
        spec.chosen_step_strategy(params.combine)
        self._alone = range(len(spec.members)) if params.return_members else range(0)
        self._together = self.new_text()
        self._members = {member: self.new_text() for member in self._alone}
        self._status: list[MemberStatus] = ["ok"] * len(spec.members)
        self._chunks, self._written = 0, 0
        self._steps, self._entropy, self._agreement = 0, 0.0, 0.0

    @abstractmethod
    def new_text(self) -> WrittenText:
        """One that nothing was written of yet."""

    @abstractmethod
    def spans(self, most_tokens: int) -> Iterator[tuple[Sentence, Int64Array]]:
        """The spans in order with their tokens, the prefix among them, of no more than these."""

    @cached_property
    def prefix_tokens(self) -> int:
        """Of the prefix alone."""
        return len(self._spec.tokenizer.encode(self._search.prefix))

    def token_ends(self, part: str) -> list[int]:
        """Where tokens of a part end behind the prefix; those of the prefix are not the part's.

        Those that a prefix has only with something behind it are: a tokenizer may strip the space
        at its end where there is nothing.
        """
        prefix = self._search.prefix
        ends = self._spec.tokenizer.encode(prefix + part).offsets[:, 1] - len(prefix)
        own = [int(end) for end in ends if end > 0]
        more = len(ends) - len(own) - self.prefix_tokens
        return [1] * more + own

    @property
    def most_tokens(self) -> int:
        """Of a span and the prefix, as many as the members take; raises Invalid where none fit."""
        most = self._spec.window.max_tokens - self._search.frame.tokens
        if most <= self.prefix_tokens:
            raise Invalid(
                "invalid request",
                f"params.prefix: leaves no tokens for a sentence: {self._spec.name} takes "
                f"{self._spec.window.max_tokens} tokens",
            )
        return most

    def chunks(self) -> Iterator[SpanPrompt]:
        frame = self._search.frame
        for span, ids in self.spans(self.most_tokens):
            if len(ids):
                framed = np.concatenate((frame.before, ids, frame.after))
                yield self._prompt(framed, span, None)
                for member in self._alone:
                    yield self._prompt(framed, span, member)

    def add(self, chunk: SpanPrompt, outputs: Outcome) -> None:
        """As every job; also raises AnswerTooLarge."""
        for member in outputs.failures:
            self._status[member] = outputs.status(member)
        decoded = outputs.decoded
        of = self._together if chunk.alone is None else self._members[chunk.alone]
        if decoded is None:
            of.complete = False
            return
        written = self._spec.tokenizer.decode(decoded.tokens).strip()
        self._written += len(written)
        if self._written > MAX_WRITTEN_CHARACTERS:
            raise AnswerTooLarge(
                "answer too large",
                f"more than {MAX_WRITTEN_CHARACTERS} characters were written by character "
                f"{chunk.span.start} of {self.characters}; send the text in parts, or without "
                "params.return_members",
            )
        longer = of.add(chunk.span, written, finished=decoded.finish_reason == "stop")
        if chunk.alone is None:
            self._count(decoded)
            self._show(longer)

    def answer(self) -> Answer:
        if self.show is not None:
            self._show_rest(self._together.text())
        return Answer(
            result=self._together.result(),
            members=self._spec.member_reports(
                self._status,
                {index: own.result() for index, own in self._members.items() if own.complete},
            ),
            agreement=self._agreement / self._steps if self._steps else 1.0,
            entropy=self._entropy / self._steps if self._steps else 0.0,
            coverage=Coverage(
                chunks=self._chunks,
                characters=self.characters,
                characters_covered=self.covered_to,
                truncated=self.covered_to < self.characters,
            ),
        )

    def _prompt(self, ids: Int64Array, span: Sentence, alone: int | None) -> SpanPrompt:
        evidence, combine = step_combination(self._spec, self._asked, ids, goes_on=False)
        return SpanPrompt(
            ids=ids,
            new_search=partial(self._search.begin, ids),
            evidence=evidence,
            combine=combine,
            max_new_tokens=self._search.options.max_new_tokens,
            members=tuple(range(len(self._spec.members))) if alone is None else (alone,),
            needed_members=self._spec.needed_members if alone is None else 0,
            beams=self._search.options.beams,
            span=span,
            alone=alone,
        )

    def _count(self, decoded: Decoded) -> None:
        steps = len(decoded.tokens) + 1
        self._chunks += 1
        self._steps += steps
        self._entropy += decoded.entropy * steps
        self._agreement += decoded.agreement * steps
