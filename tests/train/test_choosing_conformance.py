"""The rules by which a token is chosen are transformers' logits processors, in their order."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from streamproc.decoding.choosing import Choice, Sampling
from streamproc.decoding.warping import probabilities, repetition_penalty

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")


@cache
def model() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=4, n_layer=1, n_head=1))


def theirs(logits: Any, history: Any, **options: Any) -> Any:
    """Probabilities, as transformers' generate would sample from."""
    from transformers import GenerationConfig

    config = GenerationConfig(do_sample=True, eos_token_id=0, pad_token_id=0, **options)
    model()._prepare_special_tokens(config, kwargs_has_attention_mask=True, device="cpu")
    processors = model()._get_logits_processor(
        config, input_ids_seq_length=len(history), encoder_input_ids=None, device="cpu"
    )
    ids = torch.tensor(history)[None]
    return processors(ids, torch.tensor(logits)[None]).softmax(-1)[0].numpy()


@pytest.mark.parametrize("temperature", [1.0, 0.3, 2.5])
@pytest.mark.parametrize("top_k", [0, 1, 7, 50, 400])
@pytest.mark.parametrize("top_p", [1.0, 0.95, 0.5, 0.01])
@pytest.mark.parametrize("penalty", [1.0, 1.4])
def test_odds_are_those_of_transformers(
    temperature: float, top_k: int, top_p: float, penalty: float
) -> None:
    random = np.random.default_rng(3)
    for _ in range(5):
        logits = random.normal(0, 3, 200)
        history = random.integers(0, 200, 30)
        sampling = Sampling(1, temperature, top_k, top_p)

        odds = probabilities(sampling.warped(repetition_penalty(logits, history, penalty)))
        chosen = Choice(sampling, penalty=penalty).choose(logits, history, 0, is_last=False)

        expected = theirs(
            logits,
            history,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            repetition_penalty=penalty,
        )
        np.testing.assert_allclose(odds, expected, atol=1e-6)
        assert expected[chosen] > 0
