"""Members cut out of a BERT base that score a chunk in one call: how they learn, and how well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from streamproc.errors import TrainingError
from streamproc.offline.corpus.partitioning import CorpusRecord
from streamproc.offline.corpus.rows import Source
from streamproc.offline.corpus.text_samples import TextSample, read_text_samples, sampled
from streamproc.offline.training.base import Base
from streamproc.offline.training.encoder_trainer import EncoderTrainer, Learning
from streamproc.offline.training.labelled_chunks import LabelledBatch
from streamproc.offline.training.member import Member
from streamproc.offline.training.prefix import Prefix, make_prefix
from streamproc.offline.training.pruning import PruneConfig, prune_model
from streamproc.offline.training.record_requests import RecordRequests
from streamproc.offline.training.shared_artifacts import SharedArtifacts, taken_over
from streamproc.offline.training.training_task import MemberTrainer, TaskSetup, TrainingTask
from streamproc.offline.training.vocabulary import trim_vocabulary
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window

RecordT = TypeVar("RecordT", bound=CorpusRecord)


@dataclass(frozen=True)
class EncoderTask(RecordRequests[RecordT], TrainingTask[RecordT], Generic[RecordT]):
    """A task whose members start from a BERT base.

    shape:  of what each member has for itself
    frozen: so many of the base's first layers, and its embeddings, stay as they are and run once
        before all members, which then are only the layers of their shape
    shared: files that words are chosen and frozen layers are quantised by, in place of the corpus;
        ensembles of the same base, words and frozen layers share these
    prefix_of: the folder of an ensemble whose words and frozen layers are taken over instead
    """

    model: ClassVar[str]  # the class of transformers, such as BertForTokenClassification

    start: Base
    vocabulary_size: int = 4200
    shape: PruneConfig = field(default_factory=PruneConfig)
    learning: Learning = field(default_factory=Learning)
    window: Window = field(default_factory=lambda: Window(256, 32))
    frozen: int = 0
    shared: Sequence[Source] = ()
    prefix_of: Path | None = None

    @property
    def text_field(self) -> str:
        """The field that holds a record's text."""
        return "text"

    @property
    def base(self) -> str:
        return self.start.description

    def prepare(self, train: Iterable[RecordT], seed: int) -> SharedArtifacts:
        longest = max(self.window.max_tokens, self.learning.max_tokens)
        if longest > self.shape.positions:
            raise TrainingError(
                f"Windows of {longest} tokens do not fit a model of {self.shape.positions} "
                "positions; make the windows shorter or keep more positions."
            )
        if self.prefix_of is not None:
            return taken_over(self.prefix_of, self.start, self.frozen, longest)
        shared = chain.from_iterable(read_text_samples(one, self.text_field) for one in self.shared)
        samples = sampled(shared if self.shared else self.samples(train), seed)
        # Once, not once a question that is asked of it.
        texts = dict.fromkeys(text for sample in samples for text in sample if text)
        words = trim_vocabulary(self.start.folder, texts, self.vocabulary_size)
        frozen = (self.start.folder, self.frozen, words, samples, self.shape.positions)
        prefix = make_prefix(*frozen).model if self.frozen else None
        return SharedArtifacts(words.tokenizer, words.kept, prefix)

    def setup(self, shared: SharedArtifacts, seed: int) -> TaskSetup[RecordT]:
        tokenizer = TextTokenizer(shared.tokenizer.to_str().encode())
        prefix = Prefix(shared.prefix) if shared.prefix else None

        def new_member(
            train: Sequence[RecordT], valid: Sequence[RecordT], batch_size: int, draws: int
        ) -> MemberTrainer[LabelledBatch]:
            labels = self.labels(train)
            model = prune_model(
                self.start.folder, self.shape, shared.kept, labels, seed, self.model
            )
            member = Member(model, self.task, prefix)
            return EncoderTrainer(
                self,
                member,
                tokenizer,
                labels,
                train,
                valid,
                window=self.window,
                learning=self.learning,
                batch_size=batch_size,
                seed=draws,
            )

        return TaskSetup(shared.tokenizer, self.window, new_member, self.labels(), prefix=prefix)

    def labels(self, train: Sequence[RecordT] | None = None) -> Sequence[str]:
        """The ensemble's labels, or those of them that a member can learn from its own records."""
        return ()

    def samples(self, records: Iterable[RecordT]) -> Iterator[TextSample]:
        """What words are chosen by."""
        return ((record.text, None) for record in records)
