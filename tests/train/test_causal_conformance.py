"""Exported decoders write what transformers' generate does, alone and in a running batch."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamproc.errors import ModelRefused
from streamproc.serving.engine import Engine
from streamproc.serving.inference.causal import PIECE_TOKENS, CausalModel
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session import new_call
from streamproc.serving.tasks.catalogue import decoding_task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.verification.batch_invariance import check_step_model
from streamproc.testing.generative import build_decoding_engine, build_decoding_spec
from tests.support.asking import answered
from tests.support.causal_models import KINDS, POSITIONS, VOCABULARY, build_causal, export_causal

pytestmark = pytest.mark.train
pytest.importorskip("optimum.onnxruntime")

NEW_TOKENS = 64
END = VOCABULARY - 1


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of transformers', and the same as a member."""
    torch_model = build_causal(request.param)
    exported = export_causal(torch_model, tmp_path_factory.mktemp(request.param))
    return torch_model, CausalModel(request.param, exported, Provider(CPU))


def prompts() -> list[str]:
    random = np.random.default_rng(5)
    letters = list("abc xyz,.é中🎉\n")
    lengths = [1, 2, 31, 32, 33, 63, 64, 230, *random.integers(1, 150, 8).tolist()]
    return ["".join(random.choice(letters, length)) for length in lengths]


def spec(members: int = 1) -> EnsembleSpec:
    return build_decoding_spec(
        [f"m{number}" for number in range(members)],
        max_tokens=POSITIONS,
        max_new_tokens=NEW_TOKENS,
    )


def engine_of(*models: CausalModel) -> Engine:
    return build_decoding_engine(spec(len(models)), models)


def generated(torch_model: Any, prompt: str, **options: Any) -> tuple[str, Any]:
    """What transformers writes greedily, and the scores of its steps."""
    import torch

    tokenizer = spec().tokenizer
    ids = [token for tokens in tokenizer.stream(prompt) for token in tokens.ids.tolist()]
    out = torch_model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        pad_token_id=END,
        return_dict_in_generate=True,
        output_logits=True,
        **options,
    )
    whole = out.sequences[0].tolist()
    return tokenizer.decode(whole)[len(tokenizer.decode(ids)) :], out.logits


PARAMS: dict[str, Any] = {"max_new_tokens": NEW_TOKENS}


async def test_greedy_text_is_transformers_own_alone_and_batched(pair: Any) -> None:
    torch_model, member = pair
    texts = prompts()
    engine = engine_of(member)

    expected = [generated(torch_model, text)[0] for text in texts]
    batched = await asyncio.gather(*(answered(engine, text, **PARAMS) for text in texts))
    alone = [await answered(engine, text, **PARAMS) for text in texts[:4]]

    assert [answer.result["generated_text"] for answer in batched] == expected
    assert [answer.result for answer in alone] == [answer.result for answer in batched[:4]]
    assert len(set(expected)) == len(expected)
    # More than a piece, so that a prompt read in two is among them.
    assert max(len(text.encode()) for text in texts) > PIECE_TOKENS


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"repetition_penalty": 1.3}, {"repetition_penalty": 1.3}),
        ({"repetition_penalty": 0.7}, {"repetition_penalty": 0.7}),
        ({"no_repeat_ngram_size": 2}, {"no_repeat_ngram_size": 2}),
        (
            {"repetition_penalty": 1.1, "no_repeat_ngram_size": 3, "min_new_tokens": 9},
            {"repetition_penalty": 1.1, "no_repeat_ngram_size": 3, "min_new_tokens": 9},
        ),
    ],
)
async def test_penalties_change_the_text_as_transformers_do(
    pair: Any, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    torch_model, member = pair
    texts = [text[:40] for text in prompts()[:8]]
    engine = engine_of(member)

    expected = [generated(torch_model, text, **theirs)[0] for text in texts]
    found = await asyncio.gather(*(answered(engine, text, **PARAMS, **ours) for text in texts))

    assert [answer.result["generated_text"] for answer in found] == expected
    plain = [generated(torch_model, text)[0] for text in texts]
    assert expected != plain


async def test_next_tokens_have_transformers_probabilities(pair: Any) -> None:
    torch_model, member = pair
    text = prompts()[3]

    _, logits = generated(torch_model, text)
    answer = await answered(engine_of(member), text, next_tokens=20, max_new_tokens=1)

    expected = logits[0][0].softmax(-1).sort(descending=True).values[:20].numpy()
    found = [token["probability"] for token in answer.result["next_tokens"]]
    np.testing.assert_allclose(found, expected, atol=1e-4)


async def test_copies_of_a_member_write_what_it_writes(pair: Any) -> None:
    _, member = pair
    texts = prompts()[:6]

    one = [await answered(engine_of(member), text, **PARAMS) for text in texts]
    three = [await answered(engine_of(member, member, member), text, **PARAMS) for text in texts]

    assert [a.result["generated_text"] for a in three] == [a.result["generated_text"] for a in one]


def test_a_row_has_the_same_bits_whatever_it_is_stepped_beside(pair: Any) -> None:
    _, member = pair
    random = np.random.default_rng(11)
    started = {
        int(length): member.start(random.integers(0, VOCABULARY, length), new_call())[1]
        for length in (1, 7, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 300, 449)
    }
    for _ in range(40):
        lengths = random.choice(list(started), random.choice([2, 3, 5, 8, 13, 32]))
        place = int(random.integers(len(lengths)))
        alone = started[int(lengths[place])]
        beside = member.join([started[int(length)] for length in lengths])
        for _ in range(2):
            tokens = random.integers(0, VOCABULARY, len(lengths))
            one, alone = member.step(alone, tokens[place : place + 1], new_call())
            many, beside = member.step(beside, tokens, new_call())
            np.testing.assert_array_equal(one[0], many[place])


def test_an_exported_member_passes_its_trial(pair: Any) -> None:
    _, member = pair

    size = check_step_model(
        member, decoding_task_named("text-generation"), spec(), new_call, invariant=True
    )

    assert size == VOCABULARY


def test_a_dynamically_quantised_member_is_refused(tmp_path: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    export_causal(build_causal("gpt2"), tmp_path)
    quantize_dynamic(tmp_path / "model.onnx", tmp_path / "int8.onnx")
    member = CausalModel("a", (tmp_path / "int8.onnx").read_bytes(), Provider(CPU))

    with pytest.raises(ModelRefused, match="dynamic quantisation"):
        check_step_model(
            member, decoding_task_named("text-generation"), spec(), new_call, invariant=True
        )


def test_a_graph_without_a_cache_is_refused(tmp_path: Path) -> None:
    from optimum.exporters.onnx import onnx_export_from_model

    onnx_export_from_model(
        build_causal("gpt2"), tmp_path, task="text-generation", opset=18, do_validation=False
    )

    with pytest.raises(ModelRefused, match=r"past_key_values\.N\.key.*found inputs input_ids"):
        CausalModel("a", (tmp_path / "model.onnx").read_bytes(), Provider(CPU))
