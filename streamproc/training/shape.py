"""A smaller classifier cut out of a BERT base: fewer layers, neurons, words, positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, BertConfig, BertForSequenceClassification

from streamproc.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Shape:
    """What of the base is kept.

    layers:    the base's layers, by number, in the order they run in
    ffn_width: feed-forward neurons kept in each layer
    positions: the longest input, in tokens
    """

    layers: Sequence[int] = (0, 1)
    ffn_width: int = 512
    positions: int = 256


def cut_model(
    base: Path, shape: Shape, kept_tokens: Sequence[int], labels: Sequence[str], seed: int
) -> BertForSequenceClassification:
    """A classifier with the base's weights where it has them; the head is new, drawn by the seed.

    kept_tokens: (vocabulary,) the base's token id for each of the new ids
    Raises TrainingError when the base is no BERT encoder, or is smaller than the shape.
    """
    encoder = AutoModel.from_pretrained(base)
    config = encoder.config
    if config.model_type != "bert":
        raise TrainingError(f"{base}: a {config.model_type} model; a BERT encoder is expected.")
    if (
        max(shape.layers) >= config.num_hidden_layers
        or shape.ffn_width > config.intermediate_size
        or shape.positions > config.max_position_embeddings
    ):
        raise TrainingError(
            f"{base}: has {config.num_hidden_layers} layers, {config.intermediate_size} "
            f"feed-forward neurons, {config.max_position_embeddings} positions; {shape} asks more."
        )
    small = BertConfig(
        **{
            **config.to_dict(),
            "vocab_size": len(kept_tokens),
            "num_hidden_layers": len(shape.layers),
            "intermediate_size": shape.ffn_width,
            "max_position_embeddings": shape.positions,
            "id2label": dict(enumerate(labels)),
            "label2id": {label: index for index, label in enumerate(labels)},
            "architectures": ["BertForSequenceClassification"],
        }
    )
    torch.manual_seed(seed)
    model = BertForSequenceClassification(small)
    weights: dict[str, Any] = dict(model.state_dict())
    weights.update(_kept_weights(encoder.state_dict(), shape, kept_tokens))
    model.load_state_dict(weights)
    return model


def _kept_weights(
    base: dict[str, torch.Tensor], shape: Shape, kept_tokens: Sequence[int]
) -> dict[str, torch.Tensor]:
    kept: dict[str, torch.Tensor] = {}
    for name, value in base.items():
        if name.startswith("encoder.layer."):
            continue
        if name == "embeddings.word_embeddings.weight":
            kept[f"bert.{name}"] = value[list(kept_tokens)]
        elif name == "embeddings.position_embeddings.weight":
            kept[f"bert.{name}"] = value[: shape.positions]
        elif name.startswith(("embeddings.", "pooler.")) and not name.endswith("_ids"):
            kept[f"bert.{name}"] = value
    for new, old in enumerate(shape.layers):
        prefix = f"encoder.layer.{old}."
        layer = {
            name.removeprefix(prefix): v for name, v in base.items() if name.startswith(prefix)
        }
        _narrow(layer, shape.ffn_width)
        kept.update({f"bert.encoder.layer.{new}.{name}": value for name, value in layer.items()})
    return kept


def _narrow(layer: dict[str, torch.Tensor], width: int) -> None:
    """Keep the feed-forward neurons whose way in and way out weigh most, in their order."""
    way_in, way_out = layer["intermediate.dense.weight"], layer["output.dense.weight"]
    importance = way_in.norm(dim=1) * way_out.norm(dim=0)
    neurons = importance.topk(width).indices.sort().values
    layer["intermediate.dense.weight"] = way_in[neurons]
    layer["intermediate.dense.bias"] = layer["intermediate.dense.bias"][neurons]
    layer["output.dense.weight"] = way_out[:, neurons]
