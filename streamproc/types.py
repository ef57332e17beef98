"""Types that every room shares: arrays by what they hold, and the ways of combining members."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
Int64Array = NDArray[np.int64]
AnyArray = NDArray[Any]
FloatType = type[np.floating[Any]]
Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

JsonObject = dict[str, Any]
"""An object as it is written in JSON."""

Strategy = Literal["mean", "logit_mean", "weighted", "gated", "vote"]
"""How the scores of an ensemble's members become one."""

EntityAggregation = Literal["simple", "first", "average", "max"]
"""How tokens become entities, in transformers' words."""

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
"""What a classifier's outputs are, by transformers' names: a softmax over labels that exclude each
other, a sigmoid for each label, or numbers as they are."""
