"""Generation settings change scores as transformers' logits processors do, in their order."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.offline.importing.generation_config import decoding_section
from streamproc.serving.decoding.logits_processors import LogitsProcessors
from streamproc.serving.decoding.sampling import Sampling, TokenSampler
from streamproc.serving.decoding.warping import probabilities
from streamproc.serving.tasks.decoding_task import logits_rules, odds
from streamproc.types import FloatArray, Int64Array

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")

VOCABULARY = 12
# Of few tokens, so that runs of them come again.
READ = 3
NEW_TOKENS = 6


def token() -> st.SearchStrategy[int]:
    return st.integers(0, VOCABULARY - 1)


def some_tokens(least: int = 1) -> st.SearchStrategy[list[int]]:
    return st.lists(token(), min_size=least, max_size=4, unique=True)


RULES: dict[str, st.SearchStrategy[Any]] = {
    "repetition_penalty": st.floats(0.3, 3),
    "encoder_repetition_penalty": st.floats(0.3, 3),
    "no_repeat_ngram_size": st.integers(0, 4),
    "encoder_no_repeat_ngram_size": st.integers(0, 4),
    "bad_words_ids": st.lists(
        st.lists(st.integers(0, READ), min_size=1, max_size=3), min_size=1, max_size=20
    ),
    "min_length": st.integers(0, 9),
    "min_new_tokens": st.integers(0, 5),
    "forced_bos_token_id": token(),
    "forced_eos_token_id": token(),
    "suppress_tokens": some_tokens(),
    "begin_suppress_tokens": some_tokens(),
    "exponential_decay_length_penalty": st.tuples(st.integers(0, 4), st.floats(0.9, 1.5)),
    "renormalize_logits": st.booleans(),
}
LOTS: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.floats(0.2, 3),
    "top_k": st.integers(0, VOCABULARY + 2),
    "top_p": st.floats(0.05, 1),
    "min_p": st.floats(0, 0.9),
    "typical_p": st.floats(0.05, 1),
    "epsilon_cutoff": st.floats(0, 0.5),
    "eta_cutoff": st.floats(0, 0.5),
}


@cache
def model() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_embd=4, n_layer=1, n_head=1))


def theirs(
    scores: FloatArray, history: Int64Array, prompt: int, source: Int64Array, said: Any
) -> FloatArray:
    """The scores as transformers' generate would have them, in float64."""
    from transformers import GenerationConfig

    config = GenerationConfig(**said, pad_token_id=0, max_length=prompt + NEW_TOKENS)
    model()._prepare_special_tokens(config, kwargs_has_attention_mask=True, device="cpu")
    if said.get("min_new_tokens") is not None:
        config.min_length = prompt + said["min_new_tokens"]
    processors = model()._get_logits_processor(
        config,
        input_ids_seq_length=prompt,
        encoder_input_ids=torch.tensor(source)[None],
        device="cpu",
    )
    ids = torch.tensor(history)[None]
    return np.asarray(processors(ids, torch.tensor(scores)[None])[0].numpy())


def settings_of(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"eos_token_id": some_tokens()}, optional=optional)


@settings(max_examples=150, deadline=None)
@given(said=settings_of(**RULES), seed=st.integers(0, 2**32 - 1), data=st.data())
@pytest.mark.parametrize("encoder_decoder", [False, True])
def test_scores_are_those_of_transformers(
    encoder_decoder: bool, said: dict[str, Any], seed: int, data: st.DataObject
) -> None:
    random = np.random.default_rng(seed)
    prompt = 1 if encoder_decoder else data.draw(st.integers(1, 6), "prompt")
    written = data.draw(st.integers(0, NEW_TOKENS - 1), "written")
    scores = random.normal(0, 3, VOCABULARY)
    history = random.integers(0, READ, prompt + written)
    source = random.integers(0, READ, 5) if encoder_decoder else history[:prompt]
    section = decoding_section(
        {"decoder_start_token_id": 0, **said}, encoder_decoder=encoder_decoder, positions=64
    )

    rules = logits_rules(
        section,
        repetition_penalty=None,
        no_repeat_ngram_size=None,
        min_new_tokens=None,
        forced_begin_token=section.forced_begin_token,
    )
    processors = LogitsProcessors(
        rules, prompt_tokens=prompt, end_tokens=section.end_tokens, source=source
    )
    ours = processors(scores[None], [history], is_last=written == NEW_TOKENS - 1)[0]

    expected = theirs(scores, history, prompt, source, said)
    # Where everything is forbidden, or an end is both, transformers' are no numbers.
    if not np.isnan(expected).any():
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)


@settings(max_examples=150, deadline=None)
@given(lots=settings_of(**LOTS), seed=st.integers(0, 2**32 - 1), penalty=st.floats(0.5, 2))
def test_odds_are_those_of_transformers(lots: dict[str, Any], seed: int, penalty: float) -> None:
    random = np.random.default_rng(seed)
    scores = random.normal(0, 3, VOCABULARY)
    history = random.integers(0, VOCABULARY, 6)
    said = {**lots, "do_sample": True, "repetition_penalty": penalty}
    section = decoding_section(said, encoder_decoder=False, positions=64)
    asked = odds(section)

    rules = logits_rules(
        section,
        repetition_penalty=None,
        no_repeat_ngram_size=None,
        min_new_tokens=None,
        forced_begin_token=None,
    )
    processors = LogitsProcessors(rules, prompt_tokens=4, source=history[:4])
    ours = probabilities(asked.warped(processors(scores[None], [history], is_last=False)[0]))
    drawn = TokenSampler(Sampling(1, asked), processors).choose(scores, history, is_last=False)

    expected = theirs(scores, history, 4, history[:4], said)
    expected = probabilities(expected)
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    assert expected[drawn] > 0
