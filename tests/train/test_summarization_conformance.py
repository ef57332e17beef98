"""Summarisers that are imported write what transformers' summarization pipeline does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub_imports import answers, imported
from tests.support.model_families import save_model

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("logs_stay")]
pytest.importorskip("optimum")

# Texts for which single and double precision find the same beams, in torch as well.
TEXTS = ("the good film", "bad film, the good film!", "a film the film the good.", "x")
LONG = "The good film was bad. A bad film the film. " * 12
# The pipeline of 4.57 takes its own four beams for a model that says another number, against what
# its documentation says; a worker takes the model's, as generate does.
SETTINGS = {
    "num_beams": 4,
    "max_length": 14,
    "length_penalty": 2.0,
    "no_repeat_ngram_size": 3,
    "early_stopping": True,
}
OF_TASK = {"prefix": "the ", "min_length": 6}
WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"num_beams": 1, "max_length": 9, "min_length": 3},
    {"num_beams": 4, "length_penalty": 0.5, "no_repeat_ngram_size": 2, "max_new_tokens": 11},
)


@pytest.fixture(scope="module", params=["bart", "t5"])
def summariser(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, Any]:
    """A Hugging Face folder, the models folder it was imported into, and its pipeline."""
    import transformers

    folder = tmp_path_factory.mktemp(request.param)
    source = save_model(
        request.param,
        "summarization",
        folder / "news",
        task_specific_params={"summarization": OF_TASK},
    )
    settings = source / "generation_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text("utf-8")), **SETTINGS}))
    imported(source, folder / "models", "--window=64")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(source / "tokenizer.json"),
        **{f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep")},
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=64,
    )
    ask = transformers.pipeline(
        "summarization", str(source), tokenizer=tokenizer, device="cpu", dtype="float64"
    )
    return source, folder / "models", ask


@pytest.mark.parametrize("way", WAYS, ids=["as the settings say", "greedy", "beams"])
def test_a_summariser_writes_what_its_pipeline_does(
    summariser: tuple[Path, Path, Any], way: dict[str, Any]
) -> None:
    _, models, ask = summariser

    found = answers(models, "summarization", [{"text": text, "params": way} for text in TEXTS])

    expected = [ask(text, **way)[0]["summary_text"] for text in TEXTS]
    assert [one["summary_text"] for one in found] == [text.strip() for text in expected]
    assert len(set(expected)) > 1, "one summary of all texts shows little"


def test_truncating_is_transformers_truncation_and_chunks_are_texts_of_their_own(
    summariser: tuple[Path, Path, Any],
) -> None:
    _, models, ask = summariser
    way = WAYS[1]

    cut, whole = answers(
        models,
        "summarization",
        [{"text": LONG, "params": {**way, "truncate": True}}, {"text": LONG, "params": way}],
    )

    assert cut["summary_text"] == ask(LONG, truncation=True, **way)[0]["summary_text"].strip()
    chunks = [LONG[chunk["start"] : chunk["end"]] for chunk in whole["chunks"]]
    assert len(chunks) > 2
    assert "".join(chunks).replace(" ", "") == LONG.replace(" ", "")
    assert whole["summary_text"].split("\n") == [
        ask(chunk, **way)[0]["summary_text"].strip() for chunk in chunks
    ]
