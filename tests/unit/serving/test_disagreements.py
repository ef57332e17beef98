"""Which requests members did not agree on is kept, and nothing of what these requests said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamproc.serving.disagreements import KEPT, Choices, Disagreement, Disagreements
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.testing import (
    MemoryBroker,
    ScriptedSession,
    build_engine,
    build_pipeline,
    build_record,
    build_route,
    build_spec,
)

WORDS = ("good", "bad", "film", "the")


async def test_every_request_that_a_member_chose_otherwise_for_is_kept_and_no_other(
    executor: ModelExecutor,
) -> None:
    engine = build_engine(
        build_spec("abc"), [ScriptedSession(name) for name in "abc"], executor=executor
    )
    broker = MemoryBroker()
    pipeline = build_pipeline(broker, engine)
    texts = [f"{one} {two}" for one in WORDS for two in WORDS]
    for offset, text in enumerate(texts):
        body = {"id": f"r{offset}", "text": text, "params": {"return_members": True}}
        await pipeline(build_record(body, offset=offset))

    apart = {}
    for response in broker.values("responses"):
        own = {one["name"]: one["result"]["label"] for one in response["members"]}
        if set(own.values()) != {response["result"]["label"]}:
            apart[response["id"]] = (response["result"]["label"], own, response["agreement"])
    assert 0 < len(apart) < len(texts)
    kept = engine.disagreements.last()
    assert [one.request_id for one in kept] == list(reversed(apart))[:KEPT]
    for one in kept:
        assert one.position == f"requests:0:{one.request_id[1:]}"
        told = (one.choices.together, dict(one.choices.members), one.agreement)
        assert told == apart[one.request_id]


async def test_of_an_answer_out_of_a_text_its_place_is_kept_and_not_the_answer(
    executor: ModelExecutor,
) -> None:
    task = "question-answering"
    engine = build_engine(
        build_spec("abc", labels=()),
        [ScriptedSession(name, per_token=True) for name in "abc"],
        task=task,
        executor=executor,
    )
    broker = MemoryBroker()
    pipeline = build_pipeline(broker, engine, route=build_route(task=task))
    for offset in range(12):
        body = {"question": "the good?", "context": f"{'film bad ' * offset}the good film bad"}
        await pipeline(build_record({"id": f"r{offset}", **body}, offset=offset))

    answers = {one["id"]: one["result"] for one in broker.values("responses")}
    kept = engine.disagreements.last()
    assert kept
    for one in kept:
        found = answers[one.request_id]
        assert one.choices.together == f"{found['start']}–{found['end']}"
        choices = {one.choices.together, *one.choices.members.values()}
        assert all(set(choice) <= set("0123456789–") for choice in choices), choices


@given(st.lists(st.integers(0, 10**12), max_size=3 * KEPT))
def test_the_newest_are_kept_the_newest_first(times: list[int]) -> None:
    kept = Disagreements()
    for at_ms in times:
        kept.note(Disagreement(at_ms, "r", "t:0:1", 0.5, Choices("a", {"m": "b"})))
    assert [one.at_ms for one in kept.last()] == times[::-1][:KEPT]
