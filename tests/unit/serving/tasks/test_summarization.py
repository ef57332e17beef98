"""Documents of any length, a chunk at a time: copying members show what each was given."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.errors import Invalid, QuorumNotMet
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.task import Answer
from tests.support.translators import (
    TOKENIZER,
    Copying,
    build_translating_engine,
    build_translators,
    translated,
)

TASK = task_named("summarization")
TEXT = "One is here.  Two is there!\r\n\r\n- Three\n- four"
LONG = "The council met on Monday. It agreed to build a bridge. The old one is closed. " * 3


async def answered(text: str, spec: Any = None, **params: Any) -> Answer:
    engine = build_translating_engine(spec or build_translators(), task="summarization")
    return await translated(engine, text, **params)


async def test_a_text_that_fits_is_read_as_a_whole_and_as_it_is() -> None:
    answer = await answered(TEXT)

    assert answer.result == {
        "summary_text": TEXT,
        "finish_reason": "stop",
        "chunks": [{"start": 0, "end": len(TEXT), "finish_reason": "stop"}],
    }
    assert answer.coverage.chunks == 1
    assert not answer.coverage.truncated


async def test_a_long_text_is_summarised_in_chunks_that_are_told_and_lose_nothing() -> None:
    answer = await answered(LONG, max_new_tokens=80)

    chunks, lines = answer.result["chunks"], answer.result["summary_text"].split("\n")
    assert len(chunks) == answer.coverage.chunks == len(lines) > 2
    assert [LONG[chunk["start"] : chunk["end"]] for chunk in chunks] == lines
    assert "".join(lines).replace(" ", "") == LONG.replace(" ", "")
    assert all(line.endswith(".") for line in lines)
    assert answer.coverage.characters_covered == len(LONG)
    assert not answer.coverage.truncated


async def test_truncating_reads_as_many_tokens_as_fit_and_says_so() -> None:
    answer = await answered(LONG, truncate=True, max_new_tokens=80)

    # 64 tokens, the last of which is the end of the text.
    assert answer.result["summary_text"] == LONG[:63]
    assert answer.result["chunks"] == [{"start": 0, "end": 63, "finish_reason": "stop"}]
    assert answer.coverage.truncated
    assert (answer.coverage.characters, answer.coverage.characters_covered) == (len(LONG), 63)
    assert not (await answered(TEXT, truncate=True)).coverage.truncated


async def test_a_prefix_stands_before_every_chunk_and_is_no_part_of_the_text() -> None:
    spec = build_translators(prefix="summarize: ")

    job = TASK.begin({"text": LONG}, {}, spec)
    read = [TOKENIZER.decode(chunk.ids) for chunk in job.chunks()]
    cut = TASK.begin({"text": LONG}, {"truncate": True}, spec)
    (first,) = cut.chunks()

    assert all(text.startswith("summarize: ") for text in read)
    assert "".join(text.removeprefix("summarize: ") for text in read).replace(" ", "") == (
        LONG.replace(" ", "")
    )
    assert TOKENIZER.decode(first.ids) == f"summarize: {LONG}"[:63]
    assert first.span.end == 63 - len("summarize: ")


@pytest.mark.parametrize("text", ["", " \r\n\t"])
@pytest.mark.parametrize("truncate", [True, False])
async def test_a_text_that_says_nothing_has_no_summary(text: str, truncate: bool) -> None:
    answer = await answered(text, truncate=truncate)

    assert answer.result == {"summary_text": "", "finish_reason": "stop", "chunks": []}
    assert answer.coverage.chunks == 0
    assert (answer.agreement, answer.entropy) == (1, 0)


async def test_numbers_are_summarised_though_they_are_no_sentences() -> None:
    assert (await answered("1984. 12!")).result["summary_text"] == "1984. 12!"


async def test_a_chunk_that_came_to_no_end_is_told() -> None:
    answer = await answered(LONG, max_new_tokens=60)

    reasons = [chunk["finish_reason"] for chunk in answer.result["chunks"]]
    lengths = [chunk["end"] - chunk["start"] for chunk in answer.result["chunks"]]
    assert reasons == ["length" if length > 60 else "stop" for length in lengths]
    short = await answered("Short. This one is long.", max_new_tokens=8)
    assert short.result["summary_text"] == "Short. T"
    assert short.result["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("params", "same"),
    [({"max_length": 6}, {"max_new_tokens": 5}), ({"min_length": 30}, {"min_new_tokens": 29})],
)
async def test_lengths_may_be_said_as_generate_counts_them(
    params: dict[str, int], same: dict[str, int]
) -> None:
    said, other = await answered("Say no more", **params), await answered("Say no more", **same)

    assert said.result == other.result
    assert said.result["summary_text"] != "Say no more"


async def test_a_least_length_of_nothing_is_none() -> None:
    assert (await answered("ok", min_length=0)).result["summary_text"] == "ok"


async def test_members_own_summaries_are_told_when_asked_for() -> None:
    spec = build_translators(quorum=1)
    engine = build_translating_engine(
        spec, [Copying("a"), Copying("b", fails_on=TEXT)], task="summarization"
    )

    answer = await translated(engine, TEXT, return_members=True)

    assert [member.status for member in answer.members] == ["ok", "failed"]
    assert answer.members[0].result == answer.result
    assert answer.members[1].result is None


async def test_fewer_members_than_the_quorum_is_an_error() -> None:
    engine = build_translating_engine(
        models=[Copying("a"), Copying("b", fails_on=TEXT)], task="summarization"
    )

    with pytest.raises(QuorumNotMet, match="can't bear it"):
        await translated(engine, TEXT)


@pytest.mark.parametrize("beams", [1, 3])
async def test_copies_of_a_member_write_what_it_writes_alone(beams: int) -> None:
    alone = build_translating_engine(
        build_translators(["a"]), [Copying("a", 2)], task="summarization"
    )
    copies = build_translating_engine(
        build_translators("xyz"), [Copying("a", 2)] * 3, task="summarization"
    )

    one, many = [await translated(e, LONG, num_beams=beams) for e in (alone, copies)]

    assert one.result == many.result


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"max_length": 82}, "params.max_length: 82; tiny writes 81 tokens"),
        ({"max_length": 1}, "params.max_length: "),
        ({"min_length": -1}, "params.min_length: "),
        ({"max_length": 9, "max_new_tokens": 8}, "params: max_length and max_new_tokens are two"),
        ({"min_length": 9, "min_new_tokens": 8}, "params: min_length and min_new_tokens are two"),
        ({"truncate": "yes"}, "params.truncate: "),
        ({"prefix": "x" * 70}, "params.prefix: leaves no tokens"),
        ({"combine": "vote"}, "params.combine: "),
    ],
)
def test_what_is_wrong_in_a_request_is_named(params: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as invalid:
        list(TASK.begin({"text": "x"}, params, build_translators()).chunks())

    assert invalid.value.detail.startswith(field)
