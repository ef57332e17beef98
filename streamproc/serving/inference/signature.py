"""What a model of a task takes and gives, and whether one does."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamproc.errors import ModelRefused
from streamproc.serving.inference.graph_session import GraphSession, GraphValue

# What a prefix gives, and members behind it take.
HIDDEN_STATES = "hidden_states"
HALF = "tensor(float16)"
_FLOATS = ("tensor(float)", HALF)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a task asks of a model.

    outputs: names of the outputs; several are stacked as the last dimension of the scores
    labels: the last dimension of an output, 0 for any; None: it has none, it is one score
    per_token: whether there are scores for each token, or for the sequence as a whole
    required, optional: names of int64 inputs of shape (rows, tokens)
    hidden_width: of hidden states that a prefix hands to the model in the place of tokens, an
        input of floats, (rows, tokens, width); none where it takes tokens
    """

    outputs: tuple[str, ...]
    labels: int | None
    per_token: bool = False
    required: tuple[str, ...] = ("input_ids", "attention_mask")
    optional: tuple[str, ...] = ("token_type_ids",)
    hidden_width: int | None = None

    def behind_backbone(self, width: int) -> Signature:
        """What the task asks of a model that takes hidden states of so many numbers a token."""
        inputs = (HIDDEN_STATES, "attention_mask")
        return replace(self, required=inputs, optional=(), hidden_width=width)

    @property
    def axes(self) -> int:
        """How many dimensions an output has: rows, tokens, labels, as far as they are there."""
        return 1 + self.per_token + (self.labels is not None)


def checked_inputs(name: str, session: GraphSession, signature: Signature) -> dict[str, str]:
    """The types of the model's inputs, by name."""
    found = {node.name: node for node in session.get_inputs()}
    known = (*signature.required, *signature.optional)
    lacking = [input_name for input_name in signature.required if input_name not in found]
    strange = [input_name for input_name in found if input_name not in known]
    if lacking or strange:
        optional = f" (and perhaps {', '.join(signature.optional)})" if signature.optional else ""
        raise ModelRefused(
            f"member {name}: expected inputs {', '.join(signature.required)}{optional}; "
            f"found {', '.join(found)}"
        )
    for node in found.values():
        if node.name == HIDDEN_STATES:
            _check_hidden(name, node, signature.hidden_width)
        else:
            check_ids(name, node)
    return {node.name: node.type for node in found.values()}


def check_ids(name: str, node: GraphValue) -> None:
    """Raise ModelRefused where an input is none of ids, or the like, of any number of tokens."""
    if node.type != "tensor(int64)" or len(node.shape) != 2:
        raise ModelRefused(
            f"member {name}: input {node.name} must be int64 of (rows, tokens); "
            f"found {node.type} of {node.shape}"
        )
    _check_dynamic(name, node)


def _check_dynamic(name: str, node: GraphValue) -> None:
    if any(isinstance(size, int) for size in node.shape[:2]):
        raise ModelRefused(
            f"member {name}: input {node.name} has fixed sizes {node.shape}; "
            "export it with dynamic rows and tokens"
        )


def _check_hidden(name: str, node: GraphValue, width: int | None) -> None:
    sizes = len(node.shape) == 3 and (not isinstance(node.shape[2], int) or node.shape[2] == width)
    if node.type not in _FLOATS or not sizes:
        raise ModelRefused(
            f"member {name}: input {node.name} must be floats of (rows, tokens, {width}), the "
            f"width of the prefix; found {node.type} of {node.shape}"
        )
    _check_dynamic(name, node)


def check_output(name: str, session: GraphSession, signature: Signature, output: str) -> None:
    found = {node.name: node for node in session.get_outputs()}
    node = found.get(output)
    if node is None:
        raise ModelRefused(
            f"member {name}: expected an output {output!r}; found {', '.join(found)}"
        )
    last = node.shape[-1] if node.shape else None
    wrong_size = bool(signature.labels) and isinstance(last, int) and last != signature.labels
    if node.type not in _FLOATS or len(node.shape) != signature.axes or wrong_size:
        last_of = (
            f", the last of {signature.labels} (one for each label of the manifest)"
            if signature.labels
            else ""
        )
        raise ModelRefused(
            f"member {name}: output {output!r} must be floats with {signature.axes} "
            f"dimensions{last_of}; found {node.type} of {node.shape}"
        )
