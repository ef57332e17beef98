"""What a request to classify a text may ask for, whatever the outputs of the members are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from streamproc.serving.tasks.task import Params
from streamproc.types import Strategy

Aggregation = Literal["mean", "max", "vote"]


class TextClassificationParams(Params):
    """aggregation: how chunks become one answer; None: mean, and of labels that do not exclude each
        other max
    combine: how members do, instead of the manifest's way
    top_k: how many labels `scores` lists
    threshold: the probability from which a label is chosen, where several may be
    truncate: only the first window
    """

    aggregation: Aggregation | None = None
    combine: Strategy | None = None
    top_k: Annotated[int, Field(ge=1, le=100_000)] | None = None
    threshold: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    truncate: bool = False
