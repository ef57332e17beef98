"""Models as transformers has them and optimum exports them, cut into stages, say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamproc.offline.splitting.model_splitter import split_model
from streamproc.serving.inference.causal import CausalModel
from streamproc.serving.inference.model import Staged
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.inference.session import new_call
from tests.support.staged_models import Written, batch, staged, whole

pytestmark = pytest.mark.train

WORDS = 300


def exported(kind: str, task: str, folder: Path, **sizes: Any) -> Path:
    """A model of random weights of a class of transformers, exported."""
    import torch
    import transformers

    from streamproc.offline.training.exporting import export

    torch.manual_seed(1)
    config = getattr(transformers, kind).config_class
    model = getattr(transformers, kind)(config(vocab_size=WORDS, **sizes)).eval()
    export(model, task, folder)
    return folder / "model.onnx"


BERT = {
    "hidden_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 128,
}


@pytest.mark.parametrize(
    ("kind", "task", "sizes"),
    [
        ("BertForSequenceClassification", "text-classification", BERT),
        ("BertForTokenClassification", "token-classification", BERT),
        ("BertForQuestionAnswering", "question-answering", BERT),
        ("RobertaForSequenceClassification", "text-classification", BERT),
        ("AlbertForSequenceClassification", "text-classification", {**BERT, "embedding_size": 24}),
        (
            "DistilBertForTokenClassification",
            "token-classification",
            {"dim": 48, "n_layers": 4, "n_heads": 4, "hidden_dim": 96},
        ),
    ],
)
def test_an_encoder_in_stages_says_what_it_says_whole(
    tmp_path: Path, kind: str, task: str, sizes: dict[str, Any]
) -> None:
    path = exported(kind, task, tmp_path, **sizes)
    one = whole(path.read_bytes())
    names = [output.name for output in one.get_outputs()]

    for stages in (2, 3, 5):
        parts = staged(split_model(path, stages, tmp_path / f"in-{stages}"))
        for rows, tokens in ((1, 1), (1, 17), (5, 40)):
            feeds = batch(rows, tokens, WORDS, seed=rows)
            feeds["token_type_ids"] = np.zeros_like(feeds["input_ids"])
            own = {node.name: feeds[node.name] for node in one.get_inputs()}
            expected = one.run(names, own, new_call())
            for a, b in zip(parts.run(names, own, new_call()), expected, strict=True):
                assert np.abs(a - b).max() <= 1e-5


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("GPT2LMHeadModel", {"n_positions": 64, "n_embd": 48, "n_layer": 4, "n_head": 4}),
        (
            "LlamaForCausalLM",
            {
                "hidden_size": 48,
                "intermediate_size": 96,
                "num_hidden_layers": 4,
                "num_attention_heads": 4,
                "max_position_embeddings": 64,
            },
        ),
    ],
)
def test_a_decoder_in_stages_steps_as_it_does_whole(
    tmp_path: Path, kind: str, sizes: dict[str, Any]
) -> None:
    path = exported(kind, "text-generation-with-past", tmp_path, **sizes)
    written = split_model(path, 3, tmp_path / "stages")
    models = [
        CausalModel("m", path.read_bytes(), Provider(CPU)),
        CausalModel("m", Staged([Written(stage) for stage in written], Residency()), Provider(CPU)),
    ]

    said = []
    for model in models:
        logits, rows = model.start(np.arange(1, 12), new_call())
        _, beside = model.start(np.arange(1, 5), new_call())
        stepped, _ = model.step(model.join([rows, beside]), np.array([7, 9]), new_call())
        said.append(np.concatenate([logits[None], stepped]))

    assert np.abs(said[0] - said[1]).max() <= 1e-5
