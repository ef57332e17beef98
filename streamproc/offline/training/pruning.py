"""A smaller model cut out of a BERT base: fewer layers, heads, neurons, words, positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from transformers import AutoConfig, BertConfig, BertModel, BertPreTrainedModel

from streamproc.errors import TrainingError


@dataclass(frozen=True, slots=True)
class PruneConfig:
    """What of the base is kept.

    layers:    the base's layers, by number, in the order they run in
    ffn_width: feed-forward neurons kept in each layer; none: all of them
    heads:     attention heads kept in each layer; none: all of them
    positions: the longest input, in tokens
    """

    layers: Sequence[int] = (0, 1)
    ffn_width: int | None = 512
    heads: int | None = None
    positions: int = 256


def prune_model(
    base: Path,
    shape: PruneConfig,
    kept_tokens: Sequence[int],
    labels: Sequence[str],
    seed: int,
    model_class: str,
) -> BertPreTrainedModel:
    """A model with the base's weights where it has them; the head is new, drawn by the seed.

    kept_tokens: (vocabulary,) the base's token id for each of the new ids
    labels:      of the head's outputs; none where the head has none to name
    model_class: the class of transformers, such as BertForTokenClassification
    Raises TrainingError when the base is no BERT encoder, or is smaller than the shape.
    """
    config = AutoConfig.from_pretrained(base)
    if config.model_type != "bert":
        raise TrainingError(f"{base}: a {config.model_type} model; a BERT encoder is expected.")
    # A pooler that the base lacks is drawn by the seed with the head, not here, where nothing is.
    encoder = BertModel.from_pretrained(base, add_pooling_layer=_has_pooler(base))
    if (
        max(shape.layers) >= config.num_hidden_layers
        or (shape.ffn_width or 1) > config.intermediate_size
        or (shape.heads or 1) > config.num_attention_heads
        or shape.positions > config.max_position_embeddings
    ):
        raise TrainingError(
            f"{base}: has {config.num_hidden_layers} layers, {config.intermediate_size} "
            f"feed-forward neurons, {config.num_attention_heads} heads, "
            f"{config.max_position_embeddings} positions; {shape} asks more."
        )
    small = BertConfig(
        **{
            **config.to_dict(),
            "vocab_size": len(kept_tokens),
            "num_hidden_layers": len(shape.layers),
            "intermediate_size": shape.ffn_width or config.intermediate_size,
            "max_position_embeddings": shape.positions,
            "architectures": [model_class],
        }
    )
    if labels:
        small.id2label = dict(enumerate(labels))
        small.label2id = {label: index for index, label in enumerate(labels)}
    torch.manual_seed(seed)
    model: BertPreTrainedModel = getattr(transformers, model_class)(small)
    weights: dict[str, Any] = dict(model.state_dict())
    kept = _kept_weights(encoder.state_dict(), shape, kept_tokens)
    weights.update({name: value for name, value in kept.items() if name in weights})
    model.load_state_dict(weights)
    if shape.heads is not None:
        model.prune_heads(_lightest_heads(weights, len(shape.layers), shape.heads, config))
    return model


def _has_pooler(base: Path) -> bool:
    with safe_open(base / "model.safetensors", "pt") as weights:
        return any("pooler." in name for name in weights.keys())  # noqa: SIM118  # no mapping


def _lightest_heads(
    weights: dict[str, torch.Tensor], layers: int, kept: int, config: BertConfig
) -> dict[int, list[int]]:
    """By layer, the heads whose values and ways out weigh least."""
    heads = config.num_attention_heads
    dropped: dict[int, list[int]] = {}
    for layer in range(layers):
        prefix = f"bert.encoder.layer.{layer}.attention"
        values = weights[f"{prefix}.self.value.weight"].reshape(heads, -1)
        way_out = weights[f"{prefix}.output.dense.weight"].T.reshape(heads, -1)
        importance = values.norm(dim=1) * way_out.norm(dim=1)
        dropped[layer] = sorted(importance.argsort(stable=True)[: heads - kept].tolist())
    return dropped


def _kept_weights(
    base: dict[str, torch.Tensor], shape: PruneConfig, kept_tokens: Sequence[int]
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
        if shape.ffn_width is not None:
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
