"""Generation settings of a Hugging Face folder are applied, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamproc.errors import ModelRefused
from streamproc.offline.importing.generation_config import decoding_section
from streamproc.offline.importing.hf_config import HfConfig
from streamproc.repository.decoding_section import DecodingSection

T5_TASKS = {
    "summarization": {"prefix": "summarize: ", "num_beams": 4},
    "translation_en_to_de": {"prefix": "translate English to German: ", "max_length": 300},
    "translation_en_to_fr": {"prefix": "translate English to French: ", "num_beams": 3},
}


def section(
    said: dict[str, Any], *, encoder_decoder: bool = True, positions: int | None = 64
) -> DecodingSection:
    start = {"decoder_start_token_id": 7} if encoder_decoder else {}
    return decoding_section({**start, **said}, encoder_decoder=encoder_decoder, positions=positions)


def t5(folder: Path, tasks: dict[str, Any]) -> HfConfig:
    config = {"decoder_start_token_id": 0, "task_specific_params": tasks}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text('{"num_beams": 2, "eos_token_id": 1}')
    return HfConfig(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("guidance_scale", 1.5),
        ("sequence_bias", [[[1], -2.0]]),
        ("num_beam_groups", 2),
        ("diversity_penalty", 0.5),
        ("penalty_alpha", 0.6),
        ("dola_layers", "high"),
        ("force_words_ids", [[3]]),
        ("constraints", [1]),
        ("watermarking_config", {"bias": 2.5}),
        ("stop_strings", ["."]),
        ("max_time", 2.0),
        ("forced_eos_token_id", [1, 2]),
        ("temperature", 0.0),
        ("top_p", 2.0),
        ("repetition_penalty", -1.0),
        ("early_stopping", "soon"),
    ],
)
def test_what_can_not_be_had_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ModelRefused, match=name):
        section({name: value, "do_sample": True})


@pytest.mark.parametrize(
    "said",
    [
        {"bad_words_ids": [5]},
        {"bad_words_ids": 5},
        {"max_length": "20x"},
        {"eos_token_id": "</s>"},
        {"eos_token_id": 1.5},
        {"suppress_tokens": "none"},
        {"exponential_decay_length_penalty": [1]},
        {"min_length": []},
        {"forced_eos_token_id": {}, "max_new_tokens": None, "num_beams": "four"},
    ],
)
def test_a_setting_of_another_kind_is_refused_without_a_traceback(said: dict[str, Any]) -> None:
    with pytest.raises(ModelRefused, match="generation_config"):
        section(said)


def test_several_beams_are_refused_where_lots_are_drawn_and_where_a_prompt_is_continued() -> None:
    with pytest.raises(ModelRefused, match="num_beams: 4"):
        section({"num_beams": 4, "do_sample": True})
    with pytest.raises(ModelRefused, match="num_beams: 4"):
        section({"num_beams": 4}, encoder_decoder=False)


@pytest.mark.parametrize(
    "said",
    [
        {"temperature": 0.0, "top_p": 0.9},
        {"num_beam_groups": 1, "diversity_penalty": 0.0, "guidance_scale": None},
        {"use_cache": True, "output_scores": True, "transformers_version": "4.57.6"},
    ],
)
def test_what_can_not_change_an_answer_is_passed_over(said: dict[str, Any]) -> None:
    assert section(said) == section({})


def test_a_penalty_of_zero_is_no_penalty_of_one() -> None:
    assert section({"length_penalty": 0.0}).length_penalty == 0.0


@pytest.mark.parametrize(
    ("said", "new", "least"),
    [
        ({}, 63, 0),
        ({"max_length": 20}, 20, 0),
        ({"max_length": 33, "min_length": 5}, 32, 4),
        ({"max_length": 33, "max_new_tokens": 9, "min_new_tokens": 2, "min_length": 5}, 9, 2),
        ({"max_length": 999}, 63, 0),
    ],
)
def test_lengths_of_a_translator_count_its_start_token(
    said: dict[str, int], new: int, least: int
) -> None:
    found = section(said)

    assert (found.max_new_tokens, found.min_new_tokens) == (new, least)


def test_lengths_of_a_decoder_count_its_prompt() -> None:
    found = section({"max_length": 33, "min_length": 5}, encoder_decoder=False)

    assert (found.max_length, found.min_length, found.min_new_tokens) == (33, 5, 0)


def test_a_model_without_positions_writes_as_much_as_it_says() -> None:
    found = section({"max_length": 1001}, positions=None)

    assert (found.max_tokens, found.max_new_tokens) == (1001, 1000)


def test_the_only_way_of_translating_is_taken_with_its_prefix(tmp_path: Path) -> None:
    tasks = {name: T5_TASKS[name] for name in ("summarization", "translation_en_to_de")}

    found = t5(tmp_path, tasks).decoding(encoder_decoder=True)

    assert (found.prefix, found.beams, found.max_new_tokens) == (
        "translate English to German: ",
        2,
        299,
    )


def test_a_summariser_goes_by_the_settings_that_its_pipeline_goes_by(tmp_path: Path) -> None:
    found = t5(tmp_path, T5_TASKS).decoding(encoder_decoder=True, kind="summarization")

    assert (found.prefix, found.beams, found.max_new_tokens) == ("summarize: ", 4, 256)


@pytest.mark.parametrize(
    ("said", "own", "beams", "tokens"),
    [
        ({}, {}, 4, 256),
        ({"num_beams": 1, "max_length": 20}, {}, 4, 256),
        ({"num_beams": 2, "max_length": 62}, {}, 2, 61),
        ({"max_new_tokens": 30}, {}, 4, 30),
        ({"num_beams": 6}, {"num_beams": 1, "max_length": 200}, 1, 199),
        ({"do_sample": True}, {}, 1, 256),
        ({"max_length": 62}, {"max_new_tokens": 9}, 4, 9),
    ],
)
def test_what_a_summariser_does_not_say_is_as_its_pipeline_has_it(
    tmp_path: Path, said: dict[str, Any], own: dict[str, Any], beams: int, tokens: int
) -> None:
    t5(tmp_path, {"summarization": own})
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": 1, **said}))

    found = HfConfig(tmp_path).decoding(encoder_decoder=True, kind="summarization")

    assert (found.beams, found.max_new_tokens) == (beams, tokens)


def test_other_ways_of_summarising_are_taken_where_they_are_asked_for(tmp_path: Path) -> None:
    news = {"summarization_cnn": {"num_beams": 3}, "summarization_xsum": {"num_beams": 5}}
    configuration = t5(tmp_path, news)

    def beams(task: str | None) -> int:
        found = configuration.decoding(encoder_decoder=True, task=task, kind="summarization")
        return found.beams

    assert [beams(task) for task in (None, "summarization_cnn")] == [2, 3]
    with pytest.raises(ModelRefused, match=r"summarization_cnn, summarization_xsum.*--task"):
        beams("summarization_pubmed")


def test_of_several_ways_of_translating_one_is_named(tmp_path: Path) -> None:
    configuration = t5(tmp_path, T5_TASKS)

    with pytest.raises(ModelRefused, match=r"_en_to_de, translation_en_to_fr.*--task"):
        configuration.decoding(encoder_decoder=True)
    french = configuration.decoding(encoder_decoder=True, task="translation_en_to_fr")
    assert (french.prefix, french.beams) == ("translate English to French: ", 3)
    with pytest.raises(ModelRefused, match="--task"):
        configuration.decoding(encoder_decoder=True, task="translation_en_to_ro")
