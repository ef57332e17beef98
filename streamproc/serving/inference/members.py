"""The sessions of one ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.serving.inference.batch import BackboneOutput, Batch, ModelInput
from streamproc.serving.inference.session import Session, new_call
from streamproc.types import Float32Array, FloatArray


@dataclass(frozen=True, slots=True)
class Members:
    """sessions: one a member, in the manifest's order
    prefix: the layers that run before all of them; none where members take tokens
    """

    sessions: Sequence[Session[FloatArray]]
    prefix: Session[Float32Array] | None = None

    def run_backbone(self, sequences: Sequence[ModelInput]) -> Sequence[ModelInput]:
        """The sequences as members take them, run through the prefix in one batch, here and now.

        Raises MemberFailed, OutOfMemory.
        """
        if self.prefix is None:
            return sequences
        hidden = self.prefix.run(Batch.pad(sequences), new_call())
        return [
            BackboneOutput(sequence.ids, sequence.type_ids, own)
            for sequence, own in zip(sequences, hidden, strict=True)
        ]
