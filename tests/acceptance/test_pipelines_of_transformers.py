"""`streamproc.pipeline` beside the pipelines of transformers 4.57: the same calls, the same keys,
nested the same way, and the same values of the same model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamproc.errors import SettingsError
from tests.support.both_pipelines import Pair, both, both_of_type, form, values

pytestmark = [pytest.mark.train, pytest.mark.slow]
pytest.importorskip("optimum.onnxruntime")

Call = Callable[[Any], Any]
TEXTS = ["A joy to watch.", "I want those two hours back.", "Ada Lovelace lived in London."]
CONTEXT = "Ada Lovelace was born in London in 1815. Charles Babbage lived in London too. " * 12
ASKED = {"question": "Who was born in London?", "context": CONTEXT}
SHORT = {"question": "Where did Babbage live?", "context": "Charles Babbage lived in London."}
WINDOWS = {"max_seq_len": 64, "doc_stride": 16}


def drained(answers: Any) -> list[Any]:
    """The answers of an iterator, which must be one."""
    assert not isinstance(answers, (list, dict))
    return list(answers)


LABELS: dict[str, Call] = {
    "one text": lambda ask: ask(TEXTS[0]),
    "a list": lambda ask: ask(TEXTS),
    "a list of one": lambda ask: ask(TEXTS[:1]),
    "an empty list": lambda ask: ask([]),
    "a dict": lambda ask: ask({"text": TEXTS[0]}),
    "a list of dicts": lambda ask: ask([{"text": text} for text in TEXTS]),
    "a generator": lambda ask: drained(ask(text for text in TEXTS)),
    "top_k 1": lambda ask: ask(TEXTS[0], top_k=1),
    "top_k of all": lambda ask: ask(TEXTS[0], top_k=None),
    "top_k of a list": lambda ask: ask(TEXTS, top_k=2),
    "top_k of a generator": lambda ask: drained(ask((text for text in TEXTS), top_k=2)),
    "top_k of a dict": lambda ask: ask({"text": TEXTS[0]}, top_k=2),
    "return_all_scores": lambda ask: ask(TEXTS[0], return_all_scores=True),
    "return_all_scores of a list": lambda ask: ask(TEXTS, return_all_scores=True),
    "batches": lambda ask: ask(TEXTS, batch_size=2, num_workers=0),
    "truncation": lambda ask: ask(CONTEXT, truncation=True, max_length=32),
    "softmax": lambda ask: ask(TEXTS[0], function_to_apply="softmax"),
}
ENTITIES: dict[str, Call] = {
    "one text": lambda ask: ask(TEXTS[2]),
    "a list": lambda ask: ask(TEXTS),
    "a list of one": lambda ask: ask(TEXTS[2:]),
    "a generator": lambda ask: drained(ask(text for text in TEXTS)),
    "without entities": lambda ask: ask("ok"),
    "none": lambda ask: ask(TEXTS, aggregation_strategy="none"),
    "simple": lambda ask: ask(TEXTS, aggregation_strategy="simple"),
    "first": lambda ask: ask(TEXTS, aggregation_strategy="first"),
    "average": lambda ask: ask(TEXTS, aggregation_strategy="average"),
    "max": lambda ask: ask(TEXTS, aggregation_strategy="MAX"),
    "grouped_entities": lambda ask: ask(TEXTS[2], grouped_entities=True),
    "ignore_subwords": lambda ask: ask(TEXTS[2], grouped_entities=True, ignore_subwords=True),
    "ignore_labels": lambda ask: ask(TEXTS[2], ignore_labels=["O", "B-LOC"]),
    "all labels": lambda ask: ask(TEXTS[2], ignore_labels=[]),
    "stride": lambda ask: ask(CONTEXT * 4, aggregation_strategy="simple", stride=48),
}
ANSWERS: dict[str, Call] = {
    "keywords": lambda ask: ask(**ASKED, **WINDOWS),
    "a dict": lambda ask: ask(ASKED, **WINDOWS),
    "two texts": lambda ask: ask(SHORT["question"], SHORT["context"], **WINDOWS),
    "a list": lambda ask: ask([ASKED, SHORT], **WINDOWS),
    "a list of one": lambda ask: ask([ASKED], **WINDOWS),
    "a generator": lambda ask: drained(ask((one for one in (ASKED, SHORT)), **WINDOWS)),
    "many questions": lambda ask: ask(
        question=[ASKED["question"], SHORT["question"]], context=CONTEXT, **WINDOWS
    ),
    "questions and contexts": lambda ask: ask(
        question=[ASKED["question"], SHORT["question"]], context=[CONTEXT, "In London."], **WINDOWS
    ),
    "top_k": lambda ask: ask(**ASKED, **WINDOWS, top_k=3),
    "topk": lambda ask: ask(**ASKED, **WINDOWS, topk=2),
    "top_k of a list": lambda ask: ask([ASKED, SHORT], **WINDOWS, top_k=2),
    "impossible": lambda ask: ask(**ASKED, **WINDOWS, handle_impossible_answer=True, top_k=2),
    "short answers": lambda ask: ask(**ASKED, **WINDOWS, max_answer_len=2),
    "tokens": lambda ask: ask(**ASKED, **WINDOWS, align_to_words=False, top_k=2),
    "long windows": lambda ask: ask(**ASKED, max_seq_len=128, doc_stride=60),
    "overlap by itself": lambda ask: ask(**ASKED, max_seq_len=64),
    "ignored": lambda ask: ask(**SHORT, **WINDOWS, padding="do_not_pad", max_question_len=64),
}
WRITTEN = {"max_new_tokens": 12}
TRANSLATIONS: dict[str, Call] = {
    "one text": lambda ask: ask("A dog.", **WRITTEN),
    "a list": lambda ask: ask(["A dog.", "It was."], **WRITTEN),
    "a list of one": lambda ask: ask(["A dog."], **WRITTEN),
    "a generator": lambda ask: drained(ask((one for one in ("A dog.", "It was.")), **WRITTEN)),
    "beams": lambda ask: ask("A dog.", **WRITTEN, num_beams=2, length_penalty=2.0),
    "early_stopping": lambda ask: ask("A dog.", **WRITTEN, num_beams=3, early_stopping=True),
    "penalties": lambda ask: ask("A dog.", **WRITTEN, num_beams=1, no_repeat_ngram_size=1),
    "min_new_tokens": lambda ask: ask("A dog.", **WRITTEN, num_beams=1, min_new_tokens=10),
    "only texts": lambda ask: ask("A dog.", **WRITTEN, return_tensors=False, do_sample=False),
}
SUMMARIES: dict[str, Call] = {
    "one text": lambda ask: ask("A dog.", **WRITTEN),
    "a list": lambda ask: ask(["A dog.", "It was."], **WRITTEN),
    "a generator": lambda ask: drained(ask((one for one in ("A dog.", "It was.")), **WRITTEN)),
    "lengths": lambda ask: ask("A dog.", num_beams=1, min_length=8, max_new_tokens=12),
    "truncation": lambda ask: ask("A dog.", **WRITTEN, truncation=True),
}
CONTINUED = {"max_new_tokens": 12, "do_sample": False}
CONTINUATIONS: dict[str, Call] = {
    "one prompt": lambda ask: ask("It was", **CONTINUED),
    "a list": lambda ask: ask(["It was", "A"], **CONTINUED),
    "a list of one": lambda ask: ask(["It was"], **CONTINUED),
    "a generator": lambda ask: drained(ask((one for one in ("It was", "A")), **CONTINUED)),
    "new text": lambda ask: ask("It was", **CONTINUED, return_full_text=False),
    "prefix": lambda ask: ask("it was", **CONTINUED, prefix="So "),
    "prefix, new text": lambda ask: ask("it", **CONTINUED, prefix="So ", return_full_text=False),
    "as decoded": lambda ask: ask("It was .", **CONTINUED, clean_up_tokenization_spaces=False),
    "penalty": lambda ask: ask("It was", **CONTINUED, repetition_penalty=1.3),
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Pair]]:
    """Both pipelines of a task, made once."""
    made: dict[str, Pair] = {}

    def pair(task: str) -> Pair:
        if task not in made:
            made[task] = both(task, tmp_path_factory.mktemp(task))
        return made[task]

    yield pair
    for _, ours in made.values():
        ours.close()


@pytest.mark.parametrize(
    ("task", "call"),
    [
        pytest.param(task, call, id=f"{task}, {name}")
        for task, calls in {
            "text-classification": LABELS,
            "token-classification": ENTITIES,
            "question-answering": ANSWERS,
            "translation": TRANSLATIONS,
            "summarization": SUMMARIES,
            "text-generation": CONTINUATIONS,
        }.items()
        for name, call in calls.items()
    ],
)
def test_a_call_gives_what_it_gives_there(
    task: str, call: Call, pairs: Callable[[str], Pair]
) -> None:
    theirs, ours = pairs(task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted, found = call(theirs), call(ours)

    assert form(found) == form(wanted)
    assert values(found) == [
        pytest.approx(one, abs=1e-4)
        if isinstance(one, float) or "float" in type(one).__name__
        else one
        for one in values(wanted)
    ]


@pytest.mark.parametrize(
    ("problem_type", "function"),
    [("multi_label_classification", "sigmoid"), ("regression", "none")],
)
def test_outputs_of_other_types_are_what_they_are_there(
    problem_type: str, function: str, tmp_path: Path
) -> None:
    theirs, ours = both_of_type(problem_type, tmp_path)
    calls: tuple[Call, ...] = (
        lambda ask: ask(TEXTS),
        lambda ask: ask(TEXTS[0], top_k=None),
        lambda ask: ask(TEXTS, top_k=1),
        lambda ask: ask(TEXTS[0], function_to_apply=function),
    )

    for ask in calls:
        wanted, found = ask(theirs), ask(ours)
        assert form(found) == form(wanted)
        assert values(found) == [
            pytest.approx(one, abs=1e-4) if isinstance(one, float) else one
            for one in values(wanted)
        ]
    with pytest.raises(SettingsError, match=f"to which '{function}' is applied"):
        ours(TEXTS, function_to_apply="softmax")


@pytest.mark.parametrize(
    ("task", "options", "call"),
    [
        ("text-classification", {"top_k": None}, lambda ask: ask(TEXTS[0])),
        ("text-classification", {"top_k": None}, lambda ask: ask(TEXTS)),
        ("text-classification", {"top_k": 1}, lambda ask: ask(TEXTS[0])),
        ("text-classification", {"top_k": 2}, lambda ask: ask(TEXTS[0], top_k=1)),
        ("text-classification", {"device": -1, "batch_size": 4}, lambda ask: ask(TEXTS)),
        ("token-classification", {"aggregation_strategy": "simple"}, lambda ask: ask(TEXTS)),
        ("question-answering", {"top_k": 2, **WINDOWS}, lambda ask: ask(**ASKED)),
    ],
    ids=[*("all", "all of a list", "one", "in the call", "device", "grouped", "two answers")],
)
def test_what_a_pipeline_is_made_with_holds_for_its_calls_as_there(
    task: str, options: dict[str, Any], call: Call, tmp_path: Path
) -> None:
    theirs, ours = both(task, tmp_path, options)

    assert form(call(ours)) == form(call(theirs))
