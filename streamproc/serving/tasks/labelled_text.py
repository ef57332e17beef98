"""A text whose windows get scores of the ensemble's labels: what two tasks begin with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice

from streamproc.serving.chunking.windows import Chunk, windows
from streamproc.serving.inference.batch import SelectedInput
from streamproc.serving.selection import MemberPolicy
from streamproc.serving.tasks.chunk_accumulator import ChunkAccumulator
from streamproc.serving.tasks.combiner import Combiner
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import ScoringJob
from streamproc.types import FloatArray, Strategy


class LabelledTextJob(ScoringJob):
    """Windows are made as they are asked for; each member's scores become the ensemble's labels'.

    truncate: only the first window
    """

    def __init__(
        self, text: str, spec: EnsembleSpec, combine: Strategy | None, *, truncate: bool
    ) -> None:
        self.characters = len(text)
        self._text = text
        self.texts = (text,)
        self._spec = spec
        self._truncate = truncate
        self._combiner = Combiner(spec, combine)
        self._accumulator = ChunkAccumulator(spec, self.characters)

    def chunks(self) -> Iterator[Chunk]:
        tokenizer = self._spec.tokenizer
        tokens = tokenizer.stream(self._text, *self.encoded)
        made = windows(tokens, tokenizer.frame, self._spec.window, self.characters)
        return islice(made, 1) if self._truncate else made

    def select(self, chunk: Chunk, policy: MemberPolicy) -> SelectedInput[Chunk]:
        return self._combiner.select(chunk, policy, partial(self.logits, chunk))

    def logits(self, chunk: Chunk, scores: Mapping[int, FloatArray]) -> dict[int, FloatArray]:
        """(..., labels) of each member, of its scores of a window; NaN at unknown labels."""
        return {
            index: self._spec.members[index].labels.align(self.scores_of_text(chunk, found))
            for index, found in scores.items()
        }

    def scores_of_text(self, chunk: Chunk, scores: FloatArray) -> FloatArray:
        """A member's scores without those that are of no text."""
        return scores
