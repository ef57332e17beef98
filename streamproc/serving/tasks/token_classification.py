"""token-classification: a label for every token of a text of any length; named entities mostly."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from streamproc.errors import AnswerTooLarge
from streamproc.serving.chunking.overlaps import content, content_place, deepest, tokens_before
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.chunking.words import continuations
from streamproc.serving.ensembling.confidence import IDENTITY
from streamproc.serving.inference.batch import MemberOutput
from streamproc.serving.inference.signature import Signature
from streamproc.serving.tasks.combiner import ran_together
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.entities import (
    WORD_AGGREGATIONS,
    Aggregation,
    Entity,
    EntityBuilder,
    Tagging,
    TokenRun,
)
from streamproc.serving.tasks.entity_stitching import (
    EntityStitching,
    LongestSpanStitcher,
    MaxContextStitcher,
)
from streamproc.serving.tasks.labelled_text import LabelledTextJob
from streamproc.serving.tasks.task import Answer, Inputs, Params, ScoringTask, TextInputs
from streamproc.serving.tasks.token_measures import TokenMeasures
from streamproc.serving.tasks.token_opinions import TokenOpinions
from streamproc.types import FloatArray, Strategy

# The members' own included. Each takes some 300 bytes until the answer is written, so that a text
# of single letters, every token of which is asked for, would take hundreds of times its own size.
MAX_ENTITIES = 500_000

LabelName = Annotated[str, StringConstraints(max_length=256)]


class TokenClassificationParams(Params):
    """aggregation: how tokens become entities, in transformers' words, and none: they do not;
        where it is not given, the manifest's
    combine: how members are combined, instead of the manifest's way
    stitch: deepest: a token that two windows see counts where it sits deeper; longest: of entities
        of two windows that overlap the longer stays, as transformers' `stride` has it
    ignore_labels: labels, or entity groups, that are left out of the answer
    truncate: only the first window
    """

    aggregation: Aggregation = "simple"
    combine: Strategy | None = None
    stitch: Literal["deepest", "longest"] = "deepest"
    ignore_labels: list[LabelName] = Field(default_factory=lambda: ["O"], max_length=1000)
    truncate: bool = False

    @field_validator("stitch")
    @classmethod
    def _has_entities_to_compare(cls, stitch: str, known: ValidationInfo) -> str:
        if stitch == "longest" and known.data.get("aggregation") == "none":
            raise PydanticCustomError(
                "stitch", "'longest' compares entities, and aggregation 'none' makes none"
            )
        return stitch


class TokenClassificationJob(LabelledTextJob):
    """A text being looked through: its windows' tokens, combined and then made entities."""

    def __init__(
        self, inputs: TextInputs, params: TokenClassificationParams, spec: EnsembleSpec
    ) -> None:
        super().__init__(inputs.text, spec, params.combine, truncate=params.truncate)
        self._params = params
        is_asked = "aggregation" in params.model_fields_set
        self._aggregation: Aggregation = params.aggregation if is_asked else spec.aggregation
        tagging = Tagging(spec.labels, params.ignore_labels)
        new_builder = partial(EntityBuilder, inputs.text, tagging, self._aggregation)
        stitching = MaxContextStitcher if params.stitch == "deepest" else LongestSpanStitcher
        self._combined: EntityStitching = stitching(new_builder)
        self._by_member: list[EntityStitching] = [
            stitching(new_builder) for _ in spec.members if params.return_members
        ]
        self._measures = TokenMeasures(~tagging.ignored(self._aggregation))

    def scores_of_text(self, chunk: Chunk, scores: FloatArray) -> FloatArray:
        return scores[content_place(chunk, self._spec.tokenizer.frame)]

    def add(self, chunk: Chunk, outputs: tuple[MemberOutput, ...]) -> None:
        scores = self._accumulator.take(outputs, chunk.end)
        opinions = self._combiner.combine_tokens(*ran_together(chunk, outputs, scores))
        counted = deepest(chunk, self._spec.window, is_final=chunk.is_last or self._params.truncate)
        self._measures.add(opinions.part(counted))
        self._stitch(chunk, counted, opinions)

    def _stitch(self, chunk: Chunk, counted: slice, opinions: TokenOpinions) -> None:
        """Hand each opinion on the chunk's tokens to its own stitching.

        Raises AnswerTooLarge.
        """
        tokenizer, window = self._spec.tokenizer, self._spec.window
        tokens = content(chunk, tokenizer.frame)
        by_word = self._aggregation in WORD_AGGREGATIONS
        continues = continuations(tokenizer, self._text, tokens) if by_word else ()
        index = len(tokenizer.frame.before) + tokens_before(chunk, tokenizer.frame, window)

        def run(probabilities: FloatArray) -> TokenRun:
            return TokenRun(probabilities, tokens.offsets, continues, index)

        self._combined.add(run(opinions.combined), counted)
        by_member = dict(zip(opinions.answered, opinions.scores, strict=True))
        for member, stitching in enumerate(self._by_member):
            if member in by_member:
                stitching.add(run(by_member[member]), counted)
            else:
                stitching.skip()
        if len(self._combined) + sum(map(len, self._by_member)) > MAX_ENTITIES:
            raise AnswerTooLarge(
                "answer too large",
                f"more than {MAX_ENTITIES:,} entities; ignore_labels leaves out labels, and "
                "a text may be sent in parts",
            )

    def _entities(self) -> list[Entity]:
        """As all members together see them; single tokens keep the scores that they have."""
        found, confidence = self._combined.entities(), self._combiner.confidence
        if self._aggregation == "none" or confidence == IDENTITY:
            return found
        return [{**one, "score": confidence.of(one["score"])} for one in found]

    def answer(self) -> Answer:
        return Answer(
            result={"entities": self._entities()},
            members=self._accumulator.members(
                (lambda index: {"entities": self._by_member[index].entities()})
                if self._params.return_members
                else None
            ),
            agreement=self._measures.agreement(),
            entropy=self._measures.entropy(),
            coverage=self._accumulator.coverage(),
        )


class TokenClassification(ScoringTask):
    """Every token of the text is scored; nothing is cut off unless `truncate` asks for it."""

    name: ClassVar[str] = "token-classification"
    inputs: ClassVar[type[Inputs]] = TextInputs
    params: ClassVar[type[Params]] = TokenClassificationParams
    job = TokenClassificationJob
    labelled: ClassVar[bool] = True

    def signature(self, labels: int) -> Signature:
        return Signature(outputs=("logits",), labels=labels, per_token=True)
