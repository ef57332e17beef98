from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamproc.errors import AnswerTooLarge, Invalid, QuorumNotMet
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.task import Answer
from tests.support.translators import (
    TOKENIZER,
    Copying,
    build_translating_engine,
    build_translators,
    translated,
)

TEXT = "One is here.  Two is there!\r\n\r\n- Three\n- four\n\n* * *\n\tFive?"


async def answered(text: str, **params: Any) -> Answer:
    return await translated(build_translating_engine(), text, **params)


async def test_translations_stand_where_their_sentences_stood() -> None:
    answer = await answered(TEXT)

    assert answer.result == {"translation_text": TEXT, "finish_reason": "stop", "unfinished": []}
    assert answer.coverage.chunks == 5
    assert answer.coverage.characters == answer.coverage.characters_covered == len(TEXT)
    assert not answer.coverage.truncated
    assert answer.entropy is not None
    assert 0 < answer.entropy < 1
    assert answer.agreement == 1


@pytest.mark.parametrize("text", ["", " \r\n\t", "* * *", "\u200b", "1984.", "👍🏽"])
async def test_a_text_without_a_letter_is_its_own_translation(text: str) -> None:
    answer = await answered(text)

    assert answer.result["translation_text"] == text
    assert answer.coverage.chunks == 0
    assert answer.coverage.characters_covered == len(text)
    assert (answer.agreement, answer.entropy) == (1, 0)


async def test_a_line_end_inside_a_sentence_is_read_as_a_space() -> None:
    line = "this line is so long that whoever wrote it had to break it off here\r\n  and go on."

    assert (await answered(line)).result["translation_text"] == line.replace("\r\n  ", " ")


async def test_sentences_without_space_between_get_one_in_a_language_that_has_it() -> None:
    engine = build_translating_engine(models=[Spelling("a"), Spelling("b")])
    text = "你好。再见。\n好。"

    assert (await translated(engine, text)).result["translation_text"] == "ok ok\nok"
    assert (await answered(text)).result["translation_text"] == text


async def test_a_sentence_longer_than_a_model_takes_is_cut_and_loses_nothing() -> None:
    text = "a first clause of many words, then a second one that goes on; and a third: " * 4

    answer = await answered(text, max_new_tokens=80)

    assert answer.result["translation_text"] == text
    assert answer.coverage.chunks > 4


async def test_a_sentence_that_came_to_no_end_is_told_with_its_place() -> None:
    answer = await answered("Short. This one is long. End.", max_new_tokens=8)

    assert answer.result == {
        "translation_text": "Short. This one End.",
        "finish_reason": "length",
        "unfinished": [{"start": 7, "end": 24}],
    }


async def test_an_end_that_was_forced_on_a_sentence_is_none() -> None:
    engine = build_translating_engine(build_translators(forced_end_token=0))

    cut = await translated(engine, "This is long.", max_new_tokens=5)
    whole = await translated(engine, "Short", max_new_tokens=6)

    assert (cut.result["translation_text"], cut.result["finish_reason"]) == ("This", "length")
    assert (whole.result["translation_text"], whole.result["finish_reason"]) == ("Short", "stop")


@pytest.mark.parametrize(
    "params",
    [
        {"num_beams": 4},
        {"num_beams": 2, "length_penalty": -1, "early_stopping": True},
        {"combine": "logit_mean"},
        {"combine": "weighted", "num_beams": 3},
    ],
)
async def test_how_to_search_is_for_the_request_to_choose(params: dict[str, Any]) -> None:
    assert (await answered(TEXT, **params)).result["translation_text"] == TEXT


async def test_a_run_of_tokens_is_not_repeated_where_that_was_asked_for() -> None:
    assert (await answered("tick tick")).result["translation_text"] == "tick tick"
    assert "ick" not in (await answered("tick tick", no_repeat_ngram_size=3)).result[
        "translation_text"
    ].removeprefix("tick")


async def test_members_own_translations_are_told_when_asked_for() -> None:
    engine = build_translating_engine(models=[Copying("a"), Spelling("b", sure=30)])

    silent = await translated(engine, "Hello. You.")
    told = await translated(engine, "Hello. You.", return_members=True)

    assert [member.result for member in silent.members] == [None, None]
    assert [m.result and m.result["translation_text"] for m in told.members] == [
        "Hello. You.",
        "ok ok",
    ]
    assert told.result == silent.result
    assert told.coverage == silent.coverage


async def test_a_member_missing_in_one_sentence_is_reported_and_the_others_translate() -> None:
    spec = build_translators(quorum=1)
    engine = build_translating_engine(spec, [Copying("a"), Copying("b", fails_on="Two.")])

    answer = await translated(engine, "One. Two. Three.", return_members=True)

    assert answer.result["translation_text"] == "One. Two. Three."
    assert [member.status for member in answer.members] == ["ok", "failed"]
    assert [bool(member.result) for member in answer.members] == [True, False]


async def test_fewer_members_than_the_quorum_is_an_error() -> None:
    engine = build_translating_engine(models=[Copying("a"), Copying("b", fails_on="Two.")])

    with pytest.raises(QuorumNotMet, match="can't bear it"):
        await translated(engine, "One. Two. Three.")
    assert (await translated(engine, "One.")).result["translation_text"] == "One."


async def test_an_answer_that_no_topic_would_take_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamproc.serving.tasks.seq2seq_job.MAX_WRITTEN_CHARACTERS", 12)
    engine = build_translating_engine()

    assert (await translated(engine, "One. Two.")).coverage.chunks == 2
    with pytest.raises(AnswerTooLarge, match="by character 10 of 16"):
        await translated(engine, "One. Two. Three.")


async def test_copies_of_a_member_and_members_in_any_order_answer_alike() -> None:
    alone = build_translating_engine(build_translators(["a"]), [Copying("a", 2)])
    copies = build_translating_engine(
        build_translators("xyz"), [Copying("a", 2), Copying("a", 2), Copying("a", 2)]
    )
    there = build_translating_engine(build_translators("ab"), [Copying("a", 1), Copying("b", 2)])
    back = build_translating_engine(build_translators("ba"), [Copying("b", 2), Copying("a", 1)])

    for beams in (1, 3):
        one, many = [await translated(e, TEXT, num_beams=beams) for e in (alone, copies)]
        forth, other = [await translated(e, TEXT, num_beams=beams) for e in (there, back)]
        assert one.result == many.result
        assert one.entropy == pytest.approx(many.entropy)
        assert (forth.result, forth.entropy, forth.agreement) == (
            other.result,
            other.entropy,
            other.agreement,
        )


async def test_requests_translated_side_by_side_get_what_they_get_alone() -> None:
    texts = [TEXT, "A.", "Some words here. And there; more than before.", "B c d. " * 9]
    models = [Copying("a", 1.5), Copying("b", 1.0)]
    alone = [await translated(build_translating_engine(models=models), text) for text in texts]
    engine = build_translating_engine(models=models, max_document_chunks=3)

    together = await asyncio.gather(*(translated(engine, text) for text in texts))

    assert [a.result for a in together] == [a.result for a in alone]
    assert [(a.entropy, a.agreement) for a in together] == [(a.entropy, a.agreement) for a in alone]


@pytest.mark.parametrize(
    ("inputs", "params", "field"),
    [
        ({}, {}, "text"),
        ({"text": None}, {}, "text"),
        ({"text": "x"}, {"num_beams": 0}, "params.num_beams"),
        ({"text": "x"}, {"num_beams": 65}, "params.num_beams"),
        ({"text": "x"}, {"num_beams": 2.0}, "params.num_beams"),
        ({"text": "x"}, {"length_penalty": float("nan")}, "params.length_penalty"),
        ({"text": "x"}, {"length_penalty": 1e308}, "params.length_penalty"),
        ({"text": "x"}, {"no_repeat_ngram_size": -1}, "params.no_repeat_ngram_size"),
        ({"text": "x"}, {"max_new_tokens": 0}, "params.max_new_tokens"),
        ({"text": "x"}, {"max_new_tokens": 81}, "params.max_new_tokens"),
        ({"text": "x"}, {"max_new_tokens": 10**30}, "params.max_new_tokens"),
        ({"text": "x"}, {"early_stopping": "often"}, "params.early_stopping"),
        ({"text": "x"}, {"early_stopping": 0}, "params.early_stopping"),
        ({"text": "x"}, {"early_stopping": 1.0}, "params.early_stopping"),
        ({"text": "x"}, {"combine": "vote"}, "params.combine"),
        ({"text": "x"}, {"truncate": True}, "params.truncate"),
    ],
)
def test_what_is_wrong_in_a_request_is_named(
    inputs: dict[str, Any], params: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as invalid:
        task_named("translation").begin(inputs, params, build_translators())

    assert invalid.value.detail.startswith(f"{field}: ")


class Spelling(Copying):
    """Says "ok" of whatever there is to translate."""

    def start(self, ids: Any, call: Any) -> Any:
        return super().start(TOKENIZER.encode("ok").ids, call)
