"""How a graph differs from what a worker runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnx import TensorProto

from streamproc.offline.importing.matching import MASK
from streamproc.offline.importing.onnx_file import Value
from streamproc.offline.importing.output_kind import OutputKind
from streamproc.offline.importing.padding import Padding

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


@dataclass(frozen=True, slots=True)
class InterfaceGap:
    """How a graph differs from what a worker runs.

    inputs:   the graph's inputs by the worker's names
    outputs:  its outputs by the worker's names
    output_kinds: what each output's scores are, where they are no logits
    duplicate_single_row: whether a text that is alone is run twice, beside itself
    """

    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    output_kinds: Mapping[str, OutputKind]
    padding: Padding
    duplicate_single_row: bool = False

    @property
    def differences(self) -> list[str]:
        """What has to be changed, a line each; none where the graph can be run as it is."""
        found = [
            f"{role} is {value.name}, {value.type_name}"
            for role, value in self.inputs.items()
            if value.name != role or value.kind != TensorProto.INT64
        ]
        padding = self.padding
        if padding.length is not None:
            found.append(
                f"padded to {padding.length} tokens with id {padding.token}, on the {padding.side}"
            )
        elif self.fills_padding:
            found.append(f"padded with id {padding.token}")
        if MASK not in self.inputs:
            found.append("takes no attention_mask")
        if padding.length is None and padding.multiple > 1:
            found.append(f"padded to a multiple of {padding.multiple} tokens")
        if self.duplicate_single_row:
            found.append("a text alone is run beside itself")
        for role, value in self.outputs.items():
            said = _SAID.get(self.output_kind(role), "")
            if len(value.sizes) == 1 and not said:
                said = "one for each text"
            if value.name != role or value.kind not in FLOATS or said:
                found.append(f"{role} from {value.name}, {value.type_name}{said and ': '}{said}")
        return found

    @property
    def fills_padding(self) -> bool:
        """Whether the padding token is to stand behind a text, in the place of any id."""
        return bool(self.padding.token) and (self.padding.by_id or MASK not in self.inputs)

    def output_kind(self, role: str) -> OutputKind:
        """What the scores of an output are; logits where nothing was said."""
        return self.output_kinds.get(role, "logits")


_SAID: dict[OutputKind, str] = {
    "one logit": "one score, of the second label",
    "softmax": "what goes into its softmax",
    "sigmoid": "what goes into its sigmoid, of the second label",
    "sigmoids": "what goes into the sigmoid of each label",
    "probabilities": "the logarithm of probabilities",
    "one probability": "the logarithm of one probability, of the second label",
    "separate probabilities": "the logit of each label's probability",
}
