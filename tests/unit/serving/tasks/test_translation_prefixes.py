"""What a translator is told beside the text: a prefix, the languages, how to write."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from streamproc.errors import Invalid
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.decoding.search import StepScores
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.seq2seq_job import SpanPrompt
from streamproc.serving.tasks.translation import Translation
from tests.support.tokenizer_families import family
from tests.support.translators import (
    TOKENIZER,
    Copying,
    build_translating_engine,
    build_translators,
    byte_tokenizer_json,
    translated,
)

TEXT = "One is here.  Two is there!"


def of_many_languages(spelt: str = "{}", **decoding: Any) -> EnsembleSpec:
    """A translator whose tokenizer has tokens for English and German, and tells of English."""
    english, german = (spelt.format(code) for code in ("eng_Latn", "deu_Latn"))
    if spelt != "{}":
        english, german = spelt.format("en"), spelt.format("de")
    tokenizer = Tokenizer.from_buffer(byte_tokenizer_json())
    tokenizer.add_special_tokens([english, german])
    tokenizer.post_processor = TemplateProcessing(
        single=f"{english} $A </s>",
        special_tokens=[(english, tokenizer.token_to_id(english)), ("</s>", 0)],
    )
    spec = build_translators(("m",), **decoding)
    return replace(spec, tokenizer=TextTokenizer(tokenizer.to_str().encode()))


def chunks(text: str, spec: EnsembleSpec, **params: Any) -> list[SpanPrompt]:
    return list(Translation().begin({"text": text}, params, spec).chunks())


@pytest.mark.parametrize("asked", [{}, {"prefix": "to French: "}, {"prefix": ""}])
def test_a_prefix_stands_before_every_sentence_and_is_no_part_of_the_text(
    asked: dict[str, str],
) -> None:
    prefix = asked.get("prefix", "to German: ")

    found = chunks(TEXT, build_translators(prefix="to German: "), **asked)

    assert [TOKENIZER.decode(chunk.ids) for chunk in found] == [
        f"{prefix}One is here.",
        f"{prefix}Two is there!",
    ]
    assert [TEXT[slice(*chunk.span)] for chunk in found] == ["One is here.", "Two is there!"]


async def test_a_prefix_is_not_counted_as_covered() -> None:
    answer = await translated(build_translating_engine(), TEXT, prefix="to German: ")

    assert answer.coverage.characters == answer.coverage.characters_covered == len(TEXT)


def test_a_sentence_and_its_prefix_fit_the_window_and_nothing_is_lost() -> None:
    text = "a sentence that goes on, and on without an end " * 9

    found = chunks(text, build_translators(max_tokens=40), prefix="to German: ")

    assert all(len(chunk.ids) <= 40 for chunk in found)
    spans = [chunk.span for chunk in found]
    assert all(not text[one.end : other.start].strip() for one, other in pairwise(spans))
    assert (spans[0].start, text[spans[-1].end :].strip()) == (0, "")


@pytest.mark.parametrize("task", ["translation", "summarization"])
def test_a_space_that_a_prefix_alone_would_lose_counts_before_a_sentence(task: str) -> None:
    tokenizer, prefix = family("DeBERTa-v3: unigram, strip and collapse"), "to German: "
    spec = replace(build_translators(max_tokens=20), tokenizer=tokenizer)
    assert len(tokenizer.encode(f"{prefix}x")) > len(tokenizer.encode(prefix)) + 1

    job = task_named(task).begin({"text": "x" * 99}, {"prefix": prefix}, spec)
    lengths = [len(chunk.ids) for chunk in job.chunks()]

    assert len(lengths) > 2
    assert max(lengths) == 20


def test_a_prefix_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(Invalid, match=r"params\.prefix"):
        chunks(TEXT, build_translators(), prefix="x" * 99)


@pytest.mark.parametrize(("spelt", "code"), [("{}", "deu_Latn"), ("__{}__", "de")])
def test_a_target_language_is_written_first(spelt: str, code: str) -> None:
    wanted = of_many_languages(spelt).tokenizer.languages[code]

    for spec, params in (
        (of_many_languages(spelt), {"target_language": code}),
        (of_many_languages(spelt, target_language=code), {}),
        (of_many_languages(spelt, forced_begin_token=wanted), {}),
    ):
        for chunk in chunks(TEXT, spec, **params):
            nothing = np.zeros((1, spec.tokenizer.vocabulary_size))
            advance = chunk.new_search().advance(StepScores(nothing, np.zeros(1), np.ones(1)))
            assert advance.tokens.tolist() == [wanted]


def test_a_decoder_that_begins_with_a_language_needs_no_other() -> None:
    german = of_many_languages().tokenizer.languages["deu_Latn"]

    assert chunks(TEXT, of_many_languages(start_token=german))


async def test_a_language_is_no_part_of_what_is_written() -> None:
    spec = of_many_languages()
    copying = Copying("m", vocabulary=spec.tokenizer.vocabulary_size)
    engine = build_translating_engine(spec, [copying])

    answer = await translated(engine, TEXT, target_language="deu_Latn")

    assert answer.result["translation_text"] == TEXT


def test_a_source_language_takes_the_place_of_the_tokenizers() -> None:
    spec = of_many_languages(target_language="eng_Latn")
    languages = spec.tokenizer.languages

    (usual, _), (asked, _) = (
        chunks(TEXT, spec),
        chunks(TEXT, spec, source_language="deu_Latn"),
    )

    assert (usual.ids[0], asked.ids[0]) == (languages["eng_Latn"], languages["deu_Latn"])
    assert usual.ids[1:].tolist() == asked.ids[1:].tolist()


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "params.target_language: ensemble tiny writes 2 languages, such as deu_Latn"),
        ({"target_language": "fra_Latn"}, "params.target_language: 'fra_Latn' is not a language"),
        ({"target_language": "</s>"}, "params.target_language"),
        ({"target_language": "deu_Latn", "source_language": "xx"}, "params.source_language"),
    ],
)
def test_a_language_that_is_not_there_or_not_said_is_told(
    params: dict[str, str], field: str
) -> None:
    with pytest.raises(Invalid) as invalid:
        chunks(TEXT, of_many_languages(), **params)

    assert invalid.value.detail.startswith(field)


def test_a_translator_of_one_language_takes_none() -> None:
    for params in ({"target_language": "deu_Latn"}, {"source_language": "deu_Latn"}):
        with pytest.raises(Invalid, match="it has none"):
            chunks(TEXT, build_translators(), **params)


@pytest.mark.parametrize("beams", [1, 3])
async def test_rules_of_the_manifest_hold_unless_a_request_says_otherwise(beams: int) -> None:
    text = "abababab"
    engine = build_translating_engine(build_translators(no_repeat_ngram_size=2, beams=beams))

    bound = await translated(engine, text)
    free = await translated(engine, text, no_repeat_ngram_size=0)

    assert bound.result["translation_text"] != text
    assert free.result["translation_text"] == text


async def test_a_translation_drawn_by_lot_is_the_same_for_the_same_text() -> None:
    engine = build_translating_engine(build_translators(do_sample=True, temperature=50.0))

    first, again, other = [
        (await translated(engine, text)).result["translation_text"]
        for text in ("Hello there", "Hello there", "Hello thera")
    ]

    assert first == again != other
    with pytest.raises(Invalid, match=r"params\.num_beams"):
        await translated(engine, "x", num_beams=2)
