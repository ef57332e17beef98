"""Classifiers that read one token of a text, told from its padding by the attention mask.

A classifier on a decoder takes the last token, one on BART the last end of a text, and transformers
finds them by ids: the token before the padding token's, or the only end in each row. A worker's
batches are padded behind their mask with any id, so that in the graph the mask has to tell. A text
alone, as a pipeline runs it, gets the same scores to the bit.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


def pool_by_mask(model: PreTrainedModel) -> None:
    """Let a classifier find its token by the mask, if it is one that looks for it by ids."""
    if hasattr(model, "classification_head") and model.config.is_encoder_decoder:
        model.forward = MethodType(_at_the_end, model)
    elif hasattr(model, "score"):
        model.forward = MethodType(_at_the_last_token, model)


def _at_the_last_token(
    model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any
) -> SequenceClassifierOutput:
    states = model.base_model(input_ids=input_ids, attention_mask=attention_mask)[0]
    return SequenceClassifierOutput(logits=model.score(_rows_at(states, attention_mask)))


def _at_the_end(
    model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any
) -> SequenceClassifierOutput:
    states = model.base_model(input_ids=input_ids, attention_mask=attention_mask)[0]
    ends = (input_ids == model.config.eos_token_id).to(attention_mask.dtype) * attention_mask
    return SequenceClassifierOutput(logits=model.classification_head(_rows_at(states, ends)))


def _rows_at(states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Of each row the state at its last place that is 1. states: (rows, tokens, width)."""
    numbers = torch.arange(states.shape[1], device=states.device, dtype=places.dtype)
    last = (numbers * places).argmax(-1)
    chosen = last[:, None, None].expand(-1, 1, states.shape[2])
    return states.gather(1, chosen)[:, 0]
