"""text-classification where a text may have several labels: each has a probability of its own."""

from __future__ import annotations

from typing import Final

import numpy as np

from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.ensembling.measures import separate_agreement, separate_entropy
from streamproc.serving.tasks.classification_params import TextClassificationParams
from streamproc.serving.tasks.combiner import Opinions
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.labelled_text import LabelledTextJob
from streamproc.serving.tasks.separate_tally import SeparateTally
from streamproc.serving.tasks.task import Answer, TextInputs
from streamproc.types import FloatArray, JsonObject

# As transformers trains them, and as its metrics cut them.
_THRESHOLD: Final = 0.5


class MultiLabelJob(LabelledTextJob):
    """A text being given labels: one that any of its windows has, it has, unless a request says
    otherwise.

    The largest over windows is what multiple-instance learning takes a text of parts to mean
    (Dietterich et al. 1997); in a mean, a label of one page of a book would be lost.
    """

    def __init__(
        self, inputs: TextInputs, params: TextClassificationParams, profile: EnsembleSpec
    ) -> None:
        super().__init__(inputs.text, profile, params.combine, truncate=params.truncate)
        self._params = params
        self._threshold = _THRESHOLD if params.threshold is None else params.threshold
        # Each member's opinion, and last the combined one.
        self._together = len(profile.members)
        self._tally = SeparateTally(
            params.aggregation or "max", self._together + 1, len(profile.labels)
        )

    def add_opinions(self, chunk: Chunk, opinions: Opinions) -> None:
        self._tally.add(
            [*opinions.answered, self._together],
            np.concatenate((opinions.scores, opinions.combined[None])),
            max(1, chunk.content_tokens),
        )

    def answer(self) -> Answer:
        answered = self._accumulator.answered
        *members, probabilities = self._tally.scores([*answered, self._together])
        by_member = dict(zip(answered, members, strict=True))
        own = (
            (lambda index: self._result(by_member[index])) if self._params.return_members else None
        )
        return Answer(
            result=self._result(probabilities),
            members=self._accumulator.members(own),
            agreement=separate_agreement(
                np.stack(members),
                self._combiner.voting_weight(answered),
                probabilities,
                self._threshold,
            ),
            entropy=separate_entropy(probabilities),
            coverage=self._accumulator.coverage(),
        )

    def _result(self, probabilities: FloatArray) -> JsonObject:
        """The keys of a single label, which is the likeliest, and beside them the chosen ones.

        probabilities: (labels,), NaN at labels that a member does not know
        """
        labels = self._profile.labels
        order = [i for i in np.argsort(-probabilities, kind="stable") if probabilities[i] >= 0]
        return {
            "label": labels[order[0]],
            "score": float(probabilities[order[0]]),
            "labels": [labels[i] for i in order if probabilities[i] >= self._threshold],
            "scores": {labels[i]: float(probabilities[i]) for i in order[: self._params.top_k]},
        }
