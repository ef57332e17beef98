"""The sessions of one ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.serving.guarded_calls import Call
from streamproc.serving.inference.batch import BackboneOutput, Batch, HiddenStates, ModelInput
from streamproc.serving.inference.session import Session, new_call
from streamproc.types import FloatArray


@dataclass(frozen=True, slots=True)
class Members:
    """sessions: one a member, in the manifest's order
    backbone: the layers that run before all of them; none where members take tokens
    """

    sessions: Sequence[Session[FloatArray]]
    backbone: Session[HiddenStates] | None = None

    def run_backbone(
        self, sequences: Sequence[ModelInput], call: Call | None = None
    ) -> Sequence[ModelInput]:
        """The sequences as members take them, run through the shared layers in one batch.

        call: ends it early; None: nothing does
        Raises MemberFailed, OutOfMemory.
        """
        if self.backbone is None:
            return sequences
        hidden = self.backbone.run(Batch.pad(sequences), call or new_call())
        return [
            BackboneOutput(sequence.ids, sequence.type_ids, own)
            for sequence, own in zip(sequences, hidden, strict=True)
        ]
