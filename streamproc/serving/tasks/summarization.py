"""summarization: a document of any length, in chunks as long as the members take.

A text that fits is summarised as a whole. One that does not is cut between sentences; each chunk is
summarised by itself, and the response says of how many chunks it is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from streamproc.errors import Invalid
from streamproc.serving.chunking.passages import passages
from streamproc.serving.chunking.sentences import Sentence
from streamproc.serving.tasks.decoding_task import Architecture, DecodingTask
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.seq2seq_job import Seq2SeqJob
from streamproc.serving.tasks.seq2seq_search import Seq2SeqParams
from streamproc.serving.tasks.summary_text import SummaryText
from streamproc.serving.tasks.task import Inputs, Params, TextInputs
from streamproc.types import Int64Array


class SummarizationParams(Seq2SeqParams):
    """max_length, min_length: of a chunk's summary, as generate counts them: the start token is one
    truncate: only what the members take at once, counted in tokens as transformers' truncation
    """

    max_length: Annotated[int, Field(ge=2, le=1_048_576)] | None = None
    min_length: Annotated[int, Field(ge=0, le=1_048_576)] | None = None
    truncate: bool = False

    @model_validator(mode="after")
    def _says_each_length_once(self) -> SummarizationParams:
        for new, whole in (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")):
            if getattr(self, new) is not None and getattr(self, whole) is not None:
                raise ValueError(f"{whole} and {new} are two ways to say the same; give one")
        return self

    def in_new_tokens(self) -> Seq2SeqParams:
        """The same, both lengths counted without the start token."""
        changes: dict[str, int] = {}
        if self.max_length is not None:
            changes["max_new_tokens"] = self.max_length - 1
        if self.min_length is not None:
            changes["min_new_tokens"] = max(0, self.min_length - 1)
        return self.model_copy(update=changes)


class SummarizationJob(Seq2SeqJob):
    """A document being summarised."""

    def __init__(self, inputs: TextInputs, params: SummarizationParams, spec: EnsembleSpec) -> None:
        most = spec.decodes.max_tokens + 1
        if params.max_length is not None and params.max_length > most:
            raise Invalid(
                "invalid request",
                f"params.max_length: {params.max_length}; {spec.name} writes {most} tokens of a "
                "chunk, the start token among them, at most",
            )
        super().__init__(inputs.text, params.in_new_tokens(), spec)
        self._truncate = params.truncate

    def new_text(self) -> SummaryText:
        return SummaryText()

    def spans(self, most_tokens: int) -> Iterator[tuple[Sentence, Int64Array]]:
        text, tokenizer, prefix = self._text, self._spec.tokenizer, self._search.prefix
        if not text.strip():
            return
        if self._truncate:
            yield self._first(most_tokens)
            return

        ends = (tokens.offsets[:, 1].tolist() for tokens in tokenizer.stream(text))
        max_tokens = most_tokens - self.prefix_tokens
        for span in passages(text, ends, self.token_ends, max_tokens):
            yield span, tokenizer.encode(prefix + text[span.start : span.end]).ids

    def _first(self, most_tokens: int) -> tuple[Sentence, Int64Array]:
        """As much of the text's beginning as the members take."""
        tokenizer, prefix = self._spec.tokenizer, self._search.prefix
        seen = 0
        for tokens in tokenizer.stream(self._text):
            seen += len(tokens)
            # Twice as many, so that where this part ends changes none of those that are taken.
            if seen > 2 * most_tokens:
                break
        end = int(tokens.offsets[-1, 1]) if seen > 2 * most_tokens else len(self._text)
        encoded = tokenizer.encode(prefix + self._text[:end])
        if len(encoded) > most_tokens:
            encoded = encoded.part(slice(most_tokens))
            self.covered_to = end = max(0, int(encoded.offsets[-1, 1]) - len(prefix))
        return Sentence(0, end), encoded.ids


class Summarization(DecodingTask):
    """All of the text is summarised; nothing is cut off unless `truncate` asks for it."""

    name: ClassVar[str] = "summarization"
    inputs: ClassVar[type[Inputs]] = TextInputs
    params: ClassVar[type[Params]] = SummarizationParams
    job = SummarizationJob
    text_field: ClassVar[str] = "summary_text"
    architecture: ClassVar[Architecture] = "encoder-decoder"
