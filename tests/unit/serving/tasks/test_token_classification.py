from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from streamproc.errors import AnswerTooLarge, Invalid, MemberFailed, MemberLate, QuorumNotMet
from streamproc.messages.problems import to_problem
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.ensembling.confidence import Confidence
from streamproc.serving.inference.batch import MemberOutput
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import Answer
from streamproc.testing import build_spec, build_tokenizer
from streamproc.types import FloatArray

TASK = task_named("token-classification")
LABELS = ("O", "B-PER", "I-PER")
WORDS = ("good", "bad", "film", "the")
# Each word's likeliest label, and how likely it is; the rest is O's, or B-PER's where O is it.
SURE: dict[str, tuple[str, float]] = {
    "good": ("B-PER", 0.9), "bad": ("I-PER", 0.8), "film": ("I-PER", 0.6), "the": ("O", 0.7),
}  # fmt: skip
Saying = Mapping[str, tuple[str, float]]


def logits(chunk: Chunk, saying: Saying, labels: Sequence[str] = LABELS) -> FloatArray:
    """(tokens, labels): of each known word what `saying` has, of all else O."""
    tokenizer = build_tokenizer(WORDS)
    rows = []
    for token in chunk.ids.tolist():
        label, probability = saying.get(tokenizer.spelling(token), ("O", 0.99))
        other = "O" if label != "O" else labels[1]
        likely = {label: probability, other: 1 - probability}
        rows.append([np.log(likely.get(name, 1e-12)) for name in labels])
    return np.array(rows)


def answered(
    text: str,
    said: Sequence[Saying | None] = (SURE,),
    spec: EnsembleSpec | None = None,
    missing: Mapping[int, int] | None = None,
    **params: Any,
) -> tuple[Answer, list[Chunk]]:
    """The answer when each member says the same in every chunk.

    missing: members, by number, that fail in one chunk, by number
    """
    names = "abc"[: len(said)]
    spec = spec or build_spec(names, labels=LABELS, quorum=1)
    job = TASK.begin({"text": text}, params, spec)
    chunks = list(job.chunks())
    for chunk in chunks:
        outputs = []
        for number, (member, saying) in enumerate(zip(spec.members, said, strict=True)):
            fails = saying is None or (missing or {}).get(number) == chunk.index
            scores = None if fails or saying is None else logits(chunk, saying)
            error = MemberFailed(member.name, "broken") if fails else None
            outputs.append(MemberOutput(member.name, scores, error))
        job.add(chunk, outputs)
    return job.answer(), chunks


def told(answer: Answer) -> list[tuple[str, int, Any]]:
    return [(e["word"], e["start"], pytest.approx(e["score"])) for e in answer.result["entities"]]


def test_entities_are_found_where_they_stand() -> None:
    answer, chunks = answered("the good  bad\r\nthe film")

    assert len(chunks) == 1
    assert answer.result == {
        "entities": [
            {
                "entity_group": "PER",
                "score": pytest.approx(0.85),
                "word": "good  bad",
                "start": 4,
                "end": 13,
            },
            {
                "entity_group": "PER",
                "score": pytest.approx(0.6),
                "word": "film",
                "start": 19,
                "end": 23,
            },
        ]
    }


def test_an_entity_goes_on_over_the_edges_of_windows() -> None:
    text = "the " * 8 + "good " + "bad " * 40 + "the"

    answer, chunks = answered(text)

    assert len(chunks) > 4
    assert told(answer) == [("good " + "bad " * 39 + "bad", 32, (0.9 + 40 * 0.8) / 41)]


def test_a_word_goes_on_over_the_edges_of_windows() -> None:
    text = "the film" + "x" * 40 + " the"

    answer, chunks = answered(text, aggregation="first")

    assert len(chunks) > 3
    assert told(answer) == [("film" + "x" * 40, 4, 0.6)]


def test_the_manifest_says_how_tokens_become_entities_where_a_request_does_not() -> None:
    by_word = replace(build_spec("a", labels=LABELS, quorum=1), aggregation="first")
    saying = {"good": ("B-PER", 0.9), "##x": ("O", 0.99)}
    whole, part = [("goodx", 0, 0.9)], [("good", 0, 0.9)]

    assert told(answered("goodx", [saying], by_word)[0]) == whole
    assert told(answered("goodx", [saying], by_word, aggregation="simple")[0]) == part
    assert told(answered("goodx", [saying])[0]) == part


def test_the_longest_stays_where_windows_have_entities_of_their_own() -> None:
    answer, chunks = answered("good " * 2 + "bad " * 40, stitch="longest")

    assert [chunk.content_tokens for chunk in chunks] == [14, 14, 14, 12]
    # The second window's is longer than the first's, which begins with "good"; the third's is as
    # long and as sure and goes, and so the fourth's overlaps none.
    words = [entity["word"].split() for entity in answer.result["entities"]]
    assert words == [["good"], ["bad"] * 14, ["bad"] * 12]


NO: Saying = {"good": ("O", 0.51)}


def test_members_are_combined_before_labels_are_chosen() -> None:
    # Two of three hold it to be none; the third is surer than both.
    answer, _ = answered("good", [NO, NO, SURE])

    assert told(answer) == [("good", 0, (0.49 + 0.49 + 0.9) / 3)]


def test_a_request_may_choose_how_members_are_combined() -> None:
    answer, _ = answered("good", [NO, NO, SURE], combine="vote")

    assert told(answer) == []


def test_a_label_that_a_member_never_learned_is_left_out_of_its_say() -> None:
    spec = build_spec(["a", "b"], labels=("O", "PER", "LOC"), member_labels={"b": ["O", "LOC"]})
    job = TASK.begin({"text": "good"}, {"return_members": True}, spec)
    (chunk,) = job.chunks()
    knows = np.log(np.tile([0.2, 0.7, 0.1], (len(chunk), 1)))
    knows_not = np.log(np.tile([0.9, 0.1], (len(chunk), 1)))

    job.add(chunk, [MemberOutput("a", knows), MemberOutput("b", knows_not)])
    answer = job.answer()

    # PER: 0.7 of those who know it; O: the mean of 0.2 and 0.9; then all sum to one.
    (entity,) = answer.result["entities"]
    assert (entity["entity_group"], entity["score"]) == ("PER", pytest.approx(0.7 / 1.35))
    assert [member.result for member in answer.members] == [
        {"entities": [{**entity, "score": pytest.approx(0.7)}]},
        {"entities": []},
    ]


def test_agreement_is_over_the_tokens_of_entities() -> None:
    other: Saying = {**SURE, "good": ("O", 0.55), "the": ("I-PER", 0.51)}

    answer, _ = answered("the good the bad", [SURE, other])

    assert told(answer)[0][0] == "good"
    # Both say bad is a PER, one of two that good is one; that they differ over "the" counts not.
    assert answer.agreement == pytest.approx((0.5 + 1) / 2)


def test_where_there_are_no_entities_agreement_is_over_all_tokens() -> None:
    other: Saying = {"the": ("I-PER", 0.6)}

    answer, _ = answered("the the x x", [SURE, other])

    assert told(answer) == []
    assert answer.agreement == pytest.approx((0.5 + 0.5 + 1 + 1) / 4)


def test_weights_count_in_agreement_where_they_count_in_the_answer() -> None:
    spec = build_spec(["a", "b"], labels=LABELS)
    heavy = replace(spec.members[1], weight=3.0)
    spec = replace(spec, members=(spec.members[0], heavy))

    answer, _ = answered("good", [NO, SURE], spec, combine="weighted")

    assert told(answer) == [("good", 0, (0.49 + 3 * 0.9) / 4)]
    assert answer.agreement == pytest.approx(3 / 4)
    assert answered("good", [NO, SURE], spec)[0].agreement == pytest.approx(1 / 2)


def test_entropy_is_the_mean_over_tokens_each_counted_once() -> None:
    answer, chunks = answered("good " * 30)

    assert len(chunks) > 1
    expected = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert answer.entropy == pytest.approx(expected, abs=1e-6)
    assert answer.agreement == 1


@pytest.mark.parametrize("stitch", ["deepest", "longest"])
@pytest.mark.parametrize("text", ["", " \r\n", "\u200b"])
def test_a_text_that_says_nothing_has_no_entities(text: str, stitch: str) -> None:
    answer, chunks = answered(text, stitch=stitch, return_members=True)

    assert len(chunks) == 1
    assert answer.result == {"entities": []}
    assert (answer.agreement, answer.entropy) == (1, 0)
    assert answer.coverage.characters == answer.coverage.characters_covered == len(text)


def test_coverage_is_all_of_the_text() -> None:
    text = "good the " * 20

    answer, chunks = answered(text)

    coverage = answer.coverage
    assert (coverage.chunks, coverage.characters) == (len(chunks), len(text))
    assert (coverage.characters_covered, coverage.truncated) == (len(text), False)


@pytest.mark.parametrize("stitch", ["deepest", "longest"])
def test_truncating_takes_all_of_the_first_window_and_says_so(stitch: str) -> None:
    answer, chunks = answered("good " * 30, truncate=True, stitch=stitch)

    assert len(chunks) == answer.coverage.chunks == 1
    assert len(answer.result["entities"]) == chunks[0].content_tokens == 14
    assert answer.coverage.truncated
    assert answer.coverage.characters_covered == 14 * 5 - 1


def test_the_place_of_a_token_is_counted_over_the_whole_text() -> None:
    answer, chunks = answered("good " * 30, aggregation="none")

    assert len(chunks) > 1
    assert [entity["index"] for entity in answer.result["entities"]] == list(range(1, 31))


def test_labels_are_left_out_as_asked() -> None:
    answer, _ = answered("the good", ignore_labels=[])
    assert [e["entity_group"] for e in answer.result["entities"]] == ["O", "PER"]
    answer, _ = answered("the good", ignore_labels=["PER"])
    assert [e["entity_group"] for e in answer.result["entities"]] == ["O"]


@pytest.mark.parametrize("stitch", ["deepest", "longest"])
def test_a_member_missing_in_one_chunk_is_reported_and_the_others_answer(stitch: str) -> None:
    text = "good " + "bad " * 40

    answer, chunks = answered(
        text, [SURE, SURE], missing={1: 1}, return_members=True, stitch=stitch
    )
    whole, _ = answered(text, [SURE, SURE], stitch=stitch)

    assert len(chunks) > 3
    assert [member.status for member in answer.members] == ["ok", "failed"]
    assert answer.result == whole.result
    theirs = answer.members[1].result
    assert theirs is not None
    # It says nothing of the tokens that count in the second window, and no entity spans them.
    assert sum(len(e["word"].split()) for e in theirs["entities"]) < 41
    assert len(theirs["entities"]) >= 2


def test_a_member_that_never_answered_has_no_result() -> None:
    answer, _ = answered("good", [SURE, None], return_members=True)

    assert [member.result is not None for member in answer.members] == [True, False]
    assert answer.agreement == 1


def test_fewer_members_than_the_quorum_is_an_error_that_names_them() -> None:
    job = TASK.begin({"text": "x"}, {}, build_spec(["a", "b"], labels=LABELS))
    (chunk,) = job.chunks()
    late = MemberOutput("b", None, MemberLate("b", "took too long"))

    with pytest.raises(QuorumNotMet, match="member b: took too long"):
        job.add(chunk, [MemberOutput("a", logits(chunk, SURE)), late])


def test_more_entities_than_an_answer_may_hold_are_refused_before_they_are_all_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamproc.serving.tasks.token_classification.MAX_ENTITIES", 40)

    answer, _ = answered("good " * 40)
    assert len(answer.result["entities"]) == 40
    with pytest.raises(AnswerTooLarge, match="more than 40 entities; ignore_labels") as large:
        answered("good " * 20, [SURE, SURE], return_members=True)

    assert to_problem(large.value).type == "too-large"


@pytest.mark.parametrize(
    ("inputs", "params", "field"),
    [
        ({}, {}, "text"),
        ({"text": 1}, {}, "text"),
        ({"text": "x"}, {"aggregation": "mean"}, "params.aggregation"),
        ({"text": "x"}, {"aggregation": None}, "params.aggregation"),
        ({"text": "x"}, {"combine": "gated"}, "params.combine"),
        ({"text": "x"}, {"stitch": "widest"}, "params.stitch"),
        ({"text": "x"}, {"stitch": "longest", "aggregation": "none"}, "params.stitch"),
        ({"text": "x"}, {"ignore_labels": "O"}, "params.ignore_labels"),
        ({"text": "x"}, {"ignore_labels": None}, "params.ignore_labels"),
        ({"text": "x"}, {"ignore_labels": [1]}, "params.ignore_labels.0"),
        ({"text": "x"}, {"ignore_labels": ["a"] * 1001}, "params.ignore_labels"),
        ({"text": "x"}, {"ignore_labels": ["a" * 257]}, "params.ignore_labels.0"),
        ({"text": "x"}, {"truncate": "yes"}, "params.truncate"),
        ({"text": "x"}, {"return_members": 1}, "params.return_members"),
        ({"text": "x"}, {"stride": 32}, "params.stride"),
    ],
)
def test_what_is_wrong_in_a_request_is_named(
    inputs: dict[str, Any], params: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as invalid:
        TASK.begin(inputs, params, build_spec())

    assert invalid.value.detail.startswith(f"{field}: ")


def test_a_confidence_is_of_entities_that_members_see_together_the_manifests_way() -> None:
    confidence = Confidence(2.0, -0.5)
    spec = replace(build_spec("a", labels=LABELS), confidence=confidence)
    text = "good bad the film"

    def scores(answer: Answer) -> list[float]:
        return [entity["score"] for entity in answer.result["entities"]]

    plain, _ = answered(text)
    tokens, _ = answered(text, aggregation="none")
    found, _ = answered(text, spec=spec)

    assert scores(found) == [confidence.of(score) for score in scores(plain)]
    assert scores(answered(text, spec=spec, combine="logit_mean")[0]) == pytest.approx(
        scores(plain)
    )
    assert scores(answered(text, spec=spec, aggregation="none")[0]) == scores(tokens)
