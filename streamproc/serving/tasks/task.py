"""The protocol of a task: what differs from one task to the next, and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from tokenizers import Encoding

from streamproc.errors import Invalid
from streamproc.frozen import frozen
from streamproc.messages.response import Coverage, MemberReport, Usage
from streamproc.messages.validation import describe
from streamproc.profile import FewerMembers
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.disagreements import Choices
from streamproc.serving.ensembling.combine import STRATEGIES
from streamproc.serving.ensembling.heads import HEADS
from streamproc.serving.inference.batch import MemberOutput, SelectedInput
from streamproc.serving.inference.signature import Signature
from streamproc.serving.selection import MemberPolicy
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.types import JsonObject, ProblemType, Strategy


class Inputs(BaseModel):
    """A request's own fields, as a task validates them; what it does not know is ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class TextInputs(Inputs):
    """text: what the request is about."""

    text: str


Show = Callable[[str], None]
"""Takes the next part of an answer's text; from any thread, and at once."""


class Params(BaseModel):
    """A request's params; an unknown one is a mistake worth telling."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    return_members: bool = False


Model = TypeVar("Model", bound=BaseModel)
ChunkT = TypeVar("ChunkT", bound=Sized)
OutputsT = TypeVar("OutputsT")


@frozen()
class Answer:
    """What all of a request's chunks came to.

    agreement, entropy: None where the result is numbers, which have none
    usage: of a task that continues a prompt; else None
    choices: where the members did not agree on one thing that was to be chosen; else None
    profile: by which a member was not asked; None: all were
    """

    result: JsonObject
    members: tuple[MemberReport, ...]
    agreement: float | None
    entropy: float | None
    coverage: Coverage
    usage: Usage | None = None
    choices: Choices | None = None
    profile: FewerMembers | None = None

    @property
    def is_complete(self) -> bool:
        """Every member that was asked gave its own answer."""
        return all(member.status in {"ok", "skipped"} for member in self.members)


class Job(ABC, Generic[ChunkT, OutputsT]):
    """One request under way: it makes chunks, takes what members said of each, and answers.

    A chunk's length is what it costs a model, in tokens.

    characters: of all text that its chunks are made from
    texts: what they are tokenized from, where that is all known and not long
    encoded: the tokens of each of these, where somebody has encoded them; else none
    is_repeatable: whether asking again must come to the same answer, which then may be kept
    wants_parts: whether its request asks for the answer's text while it is written
    show: told the parts of that text, in order: together they are the answer's; None: nobody is
    """

    characters: int
    texts: Sequence[str] = ()
    encoded: Sequence[Encoding] = ()
    is_repeatable: bool = True
    wants_parts: bool = False
    show: Show | None = None
    _shown_characters: int = 0

    @abstractmethod
    def chunks(self) -> Iterator[ChunkT]:
        """The chunks in order, each made only when it is asked for."""

    def select(self, chunk: ChunkT, policy: MemberPolicy) -> ChunkT | SelectedInput[Any]:
        """The chunk for those members alone that a policy asks; of tasks that score, else all."""
        return chunk

    @abstractmethod
    def add(self, chunk: ChunkT, outputs: OutputsT) -> None:
        """Take one chunk's outputs, combine and stitch them; called in the order of chunks.

        Raises QuorumNotMet, and WorkerFault where that is no fault of the chunk's.
        """

    @abstractmethod
    def answer(self) -> Answer:
        """The answer, once every chunk was added."""

    def _show(self, text: str) -> None:
        """Hand out what nothing can change any more."""
        if self.show is not None and text:
            self._shown_characters += len(text)
            self.show(text)

    def _show_rest(self, text: str) -> None:
        """Hand out what of the whole text was not; it begins with what was."""
        self._show(text[self._shown_characters :])


AnyJob = Job[Any, Any]
"""Of chunks and outputs as its task has them."""
ScoringJob = Job[Chunk, tuple[MemberOutput, ...]]


class Task(ABC):
    """A kind of question; one instance serves all requests, of which it keeps nothing.

    inputs, params: what a request's own fields and its params are read as
    job: made of these two and the ensemble; raises Invalid
    labelled: whether an ensemble for it has labels
    strategies: the ways of combining members that mean something for it
    problem_types: what the outputs of its members may be
    cheapest: the params of a request that costs as little as one can
    """

    name: ClassVar[str]
    inputs: ClassVar[type[Inputs]]
    params: ClassVar[type[Params]]
    job: ClassVar[Callable[..., AnyJob]]
    labelled: ClassVar[bool] = False
    strategies: ClassVar[tuple[Strategy, ...]] = STRATEGIES
    problem_types: ClassVar[tuple[ProblemType, ...]] = ("single_label_classification",)
    cheapest: ClassVar[JsonObject] = {}

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """Names of a request's own fields."""
        return tuple(self.inputs.model_fields)

    @cached_property
    def param_names(self) -> tuple[str, ...]:
        """Names of its params."""
        return tuple(self.params.model_fields)

    @cached_property
    def _default_params(self) -> Params:
        """Those of nearly all requests."""
        return self.params()

    def strategies_of(self, problem_type: ProblemType) -> tuple[Strategy, ...]:
        """Those that also mean something for what the members' outputs are."""
        known = HEADS[problem_type].strategies
        return tuple(strategy for strategy in self.strategies if strategy in known)

    def begin(
        self, inputs: Mapping[str, object], params: Mapping[str, object], spec: EnsembleSpec
    ) -> AnyJob:
        """A job for one request; raises Invalid naming the field or parameter that is wrong."""
        fields = validated(self.inputs, inputs)
        asked = validated(self.params, params, "params") if params else self._default_params
        return self.job(fields, asked, spec)

    def sample(self, words: int) -> JsonObject:
        """A request's own fields, to try a member out with: a text of so many short words."""
        return {"text": "ok " * words}

    def canary(self, spec: EnsembleSpec) -> AnyJob:
        """A job of one word, to see whether an ensemble answers.

        Raises Invalid where it answers nobody who says no more, as which language a text is in.
        """
        return self.begin(self.sample(1), self.cheapest, spec)


class ScoringTask(Task):
    """One whose members score a chunk in a single call, chunks of many requests in a batch."""

    @abstractmethod
    def signature(self, labels: int) -> Signature:
        """What a member's model must look like; labels: how many its manifest lists."""


def validated(model: type[Model], values: Mapping[str, object], within: str = "") -> Model:
    """`values` as `model`; raises Invalid naming each field that is wrong."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise Invalid("invalid request", describe(error, within, model)) from None
