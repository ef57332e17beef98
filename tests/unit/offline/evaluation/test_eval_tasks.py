from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from sklearn.metrics import f1_score as label_f1

from streamproc.errors import EvaluationError, TrainingError
from streamproc.offline.corpus.questions import Question
from streamproc.offline.corpus.records import Columns, LabelledText
from streamproc.offline.corpus.rows import Source
from streamproc.offline.corpus.tagged import TaggedText
from streamproc.offline.corpus.translation_pairs import Pair
from streamproc.offline.evaluation.answer_eval import AnswerEval
from streamproc.offline.evaluation.entity_eval import EntityEval, word_tags
from streamproc.offline.evaluation.eval_task import EvalTask, subsample_evenly
from streamproc.offline.evaluation.eval_tasks import Data, eval_task_for, require_labels
from streamproc.offline.evaluation.label_eval import LabelEval, read_labelled
from streamproc.offline.evaluation.systems import System
from streamproc.offline.evaluation.translation_eval import (
    SourceSentence,
    TranslationEval,
    by_source,
)
from streamproc.repository.manifest import read_manifest
from streamproc.repository.repository import Repository
from tests.support.onnx_models import classifier, write_ensemble

ERROR: dict[str, Any] = {"status": "error", "error": {"detail": "too long"}}


def entity(kind: str, start: int, end: int, score: float) -> dict[str, Any]:
    return {"entity_group": kind, "start": start, "end": end, "score": score}


def ok(**result: Any) -> dict[str, Any]:
    return {"status": "ok", "result": result, "agreement": 1.0}


def values(eval_task: EvalTask, responses: list[dict[str, Any]]) -> dict[str, float]:
    statistics = eval_task.statistics(responses)
    return {m.name: m.value(own) for m, own in zip(eval_task.metrics, statistics, strict=True)}


def test_labels_are_counted_and_a_refused_text_is_a_wrong_one() -> None:
    right = ["a", "a", "b", "b"]
    eval_task = LabelEval([LabelledText("t", label, {}) for label in right], ["a", "b", "c"])
    said = [
        ok(label="a", score=1.0),
        ok(label="b", score=0.8),
        ok(label="b", score=0.8),
        ERROR,
    ]
    found = values(eval_task, said)
    assert found["accuracy"] == 0.5
    # a: 1 right of 1 said of 2; b: 1 right of 2 said of 2; c: nowhere.
    assert found["macro-F1"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    # 0.8: one of two is right; 1.0: right; the refused one had no confidence and is wrong.
    assert found["calibration error"] == pytest.approx(abs(1.6 - 1) / 4)


def test_macro_f1_is_scikit_learns() -> None:
    random = np.random.default_rng(5)
    labels = ["a", "b", "c", "d"]
    right, said = random.choice(labels[:3], 40), random.choice(labels, 40)
    eval_task = LabelEval([LabelledText("t", str(label), {}) for label in right], labels)
    found = values(eval_task, [ok(label=str(label), score=0.5) for label in said])
    assert found["macro-F1"] == pytest.approx(label_f1(right, said, average="macro"))


def test_agreement_of_a_refused_record_is_unknown() -> None:
    eval_task = LabelEval([LabelledText("t", "a", {})] * 2, ["a", "b"])
    found = eval_task.agreement([ok(label="a", score=1.0), ERROR])
    assert found[0] == 1
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    ("entities", "tags"),
    [
        ([], ["O", "O", "O", "O"]),
        ([("PER", 0, 9)], ["B-PER", "I-PER", "O", "O"]),
        ([("PER", 0, 4), ("PER", 5, 9)], ["B-PER", "B-PER", "O", "O"]),
        # A part of a word has the word when it has its first character, and only then.
        ([("PER", 0, 2)], ["B-PER", "O", "O", "O"]),
        ([("PER", 2, 4)], ["O", "O", "O", "O"]),
        ([("PER", 0, 2), ("LOC", 2, 4)], ["B-PER", "O", "O", "O"]),
        ([("LOC", 2, 9)], ["O", "B-LOC", "O", "O"]),
        ([("LOC", 13, 19)], ["O", "O", "O", "B-LOC"]),
    ],
)
def test_entities_of_characters_become_tags_of_words(
    entities: list[tuple[str, int, int]], tags: list[str]
) -> None:
    found = [{"entity_group": kind, "start": a, "end": b} for kind, a, b in entities]
    assert word_tags(["Jane", "Rice", "in", "Berlin"], found) == tags


def test_entities_count_only_whole_and_of_their_kind_as_seqeval_has_it() -> None:
    words = ("Jane", "Rice", "in", "Berlin")
    right = [("B-PER", "I-PER", "O", "B-LOC"), ("O", "O", "O", "B-ORG")]
    eval_task = EntityEval([TaggedText(words, tags, {}) for tags in right])
    said = [
        # The first lacks a word, the second is right; in the other text the kind is wrong.
        ok(
            entities=[
                entity("PER", 0, 4, score=0.5),
                entity("LOC", 13, 19, score=0.99),
                # Not the first character of any word, so no entity of words.
                entity("LOC", 14, 19, score=0.1),
            ]
        ),
        ok(entities=[entity("LOC", 13, 19, score=0.98)]),
    ]
    found = values(eval_task, said)
    # 0.98 and 0.99 share a bin, and one of them is right; 0.5 is wrong.
    error = (abs(0.98 + 0.99 - 1) + 0.5) / 3
    expected = {"entity F1": 1 / 3, "precision": 1 / 3, "recall": 1 / 3}
    assert found == pytest.approx({**expected, "calibration error": error})
    tags = [["B-PER", "O", "O", "B-LOC"], ["O", "O", "O", "B-LOC"]]
    official = f1_score([list(own) for own in right], tags, mode="strict", scheme=IOB2)
    assert found["entity F1"] == pytest.approx(official)


def test_entities_that_begin_with_i_count_as_conlleval_has_it() -> None:
    # IOB1, as CoNLL-2003 is tagged: B- only where an entity follows another of its kind.
    words = ("Jane", "Rice", "Rome", "Oslo", "in", "Bonn")
    tags = ("I-PER", "I-PER", "I-LOC", "B-LOC", "O", "I-LOC")
    eval_task = EntityEval([TaggedText(words, tags, {})])
    said = [entity("PER", 0, 9, 0.9), entity("LOC", 10, 14, 0.9), entity("LOC", 15, 19, 0.9)]

    found = values(eval_task, [ok(entities=said)])

    assert (found["precision"], found["recall"]) == (1, 3 / 4)
    written = [["B-PER", "I-PER", "B-LOC", "B-LOC", "O", "O"]]
    assert found["entity F1"] == pytest.approx(f1_score([list(tags)], written))


def test_texts_without_entities_have_no_calibration_error() -> None:
    eval_task = EntityEval([TaggedText(("Jane",), ("B-PER",), {})])
    assert np.isnan(values(eval_task, [ok(entities=[])])["calibration error"])


def test_tokens_that_are_no_entities_are_not_measured() -> None:
    eval_task = EntityEval([TaggedText(("Jane",), ("B-PER",), {})])
    with pytest.raises(EvaluationError, match="aggregation"):
        eval_task.statistics([ok(entities=[{"entity": "B-PER", "start": 0, "end": 4}])])


def test_answers_count_where_there_are_some_and_silence_where_there_are_none() -> None:
    eval_task = AnswerEval(
        [
            Question("q", "in the year 1987", ((12, "1987"),), {}),
            Question("q", "nothing here", (), {}),
            Question("q", "a cat, a dog", ((2, "cat"), (9, "dog")), {}),
            Question("q", "nothing there", (), {}),
        ]
    )
    whether = {"handle_impossible_answer": True}
    asked = [request["params"] for request in eval_task.requests]
    assert asked == [{}, whether, {}, whether, whether, whether]
    said = ["year 1987", "", "the dog", "there", "year 1987", ""]
    scores = [0.6, 0.9, 1.2, 0.3, 1, 1]
    answers = zip(said, scores, strict=True)
    found = values(eval_task, [ok(answer=answer, score=score) for answer, score in answers])
    # "the dog" stood in two windows, so that its score exceeds 1; the last two are no records.
    error = (0.6 + abs(0.9 - 1) + 0 + 0.3) / 4
    assert found == pytest.approx(
        {
            "F1": (2 / 3 + 1) / 2,
            "exact match": 0.5,
            "refused": 0.5,
            "kept": 0.5,
            "calibration error": error,
        }
    )


def test_questions_that_all_have_answers_are_asked_once() -> None:
    eval_task = AnswerEval([Question("q", "a cat", ((2, "cat"),), {})])
    assert len(eval_task.requests) == 1
    assert [metric.name for metric in eval_task.metrics] == [
        "F1",
        "exact match",
        "calibration error",
    ]


def test_agreement_counts_where_there_is_an_answer_to_agree_on() -> None:
    asked = [Question("q", "a cat", ((2, "cat"),), {}), Question("q", "nothing", (), {})]
    said = [ok(answer="cat", score=1.0)] * 3
    assert np.isnan(AnswerEval(asked).agreement(said)).tolist() == [False, True]
    assert AnswerEval(asked[1:]).agreement(said[:1]).tolist() == [1]


def test_an_error_is_no_refusal() -> None:
    eval_task = AnswerEval([Question("q", "nothing", (), {})] * 2)
    found = values(eval_task, [ok(answer="", score=1.0), ERROR])
    # Nor is it right to say nothing, with no confidence in it.
    assert found == {"refused": 0.5, "calibration error": 0}


def test_any_translation_of_a_sentence_will_do() -> None:
    pairs = [
        Pair("Call my husband.", "Ruf meinen Mann an.", {}),
        Pair("It is cold here.", "Hier ist es kalt.", {}),
        Pair("Call my husband.", "Rufen Sie meinen Mann an.", {}),
    ]
    eval_task = TranslationEval(by_source(pairs))
    assert eval_task.requests == [{"text": "Call my husband."}, {"text": "It is cold here."}]
    right = values(eval_task, [ok(translation_text=pairs[place].target) for place in (2, 1)])
    assert right == pytest.approx({"BLEU": 1, "chrF": 1})


def test_bleu_counts_runs_of_words_and_punishes_brevity() -> None:
    # Of "the cat sat on the mat ." the first five words: every precision 1, brevity e^(1 - 7/5).
    eval_task = TranslationEval([SourceSentence("s", ["the cat sat on the mat."], {})])
    assert values(eval_task, [ok(translation_text="the cat sat on the")])["BLEU"] == pytest.approx(
        np.exp(1 - 7 / 5)
    )


def test_an_untranslated_sentence_is_worth_nothing() -> None:
    assert values(TranslationEval([SourceSentence("s", ["ein Satz mit Worten"], {})]), [ERROR]) == {
        "BLEU": 0,
        "chrF": 0,
    }


def test_fewer_records_are_spread_over_all() -> None:
    assert list(subsample_evenly(range(10), 4)) == [0, 2, 5, 7]
    assert list(subsample_evenly(range(3), 9)) == [0, 1, 2]
    assert list(subsample_evenly(range(3), None)) == [0, 1, 2]


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    rows = [
        {"tokens": ["Jane", "sings"], "tags": ["B-person", "O"]},
        {"tokens": ["Berlin"], "tags": ["B-place"]},
    ]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def tagger(tmp_path: Path) -> Any:
    labels = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    path = write_ensemble(
        tmp_path / "tags",
        [classifier(labels=5, per_token=True)],
        labels=labels,
        task="token-classification",
    )
    return read_manifest(path.read_bytes(), str(path))


def test_entities_go_by_the_ensembles_names(tmp_path: Path, sentences: Path) -> None:
    data = Data([Source("x", sentences)], ["person=PER", "place=O"])
    eval_task, there = eval_task_for(tagger(tmp_path), data)
    said = [ok(entities=[entity("PER", 0, 4, score=0.9)]), ok(entities=[])]
    assert there == 2
    assert values(eval_task, said)["entity F1"] == 1


def test_an_entity_without_a_name_is_named(tmp_path: Path, sentences: Path) -> None:
    with pytest.raises(TrainingError, match="entities place are not named"):
        eval_task_for(tagger(tmp_path), Data([Source("x", sentences)], ["person=PER"]))


def test_a_name_that_is_no_entity_of_the_ensemble_is_refused(
    tmp_path: Path, sentences: Path
) -> None:
    with pytest.raises(EvaluationError, match="WHO is no entity of tags"):
        eval_task_for(tagger(tmp_path), Data([Source("x", sentences)], ["person=WHO"]))


def test_another_ensemble_must_know_every_entity_of_the_data(tmp_path: Path) -> None:
    found = EntityEval([TaggedText(("Jane", "Rome"), ("B-PER", "B-LOC"), {})])

    def beside(*labels: str) -> list[System]:
        models = [classifier(labels=len(labels), per_token=True)]
        write_ensemble(tmp_path / "other", models, labels=labels, task="token-classification")
        stored = Repository(tmp_path).open("other")
        return [System("other", "other", stored)]

    require_labels(found, beside("O", "I-LOC", "B-LOC", "B-PER", "B-MISC"))
    with pytest.raises(EvaluationError, match=r"other knows no label LOC, .* its own are O, PER"):
        require_labels(found, beside("O", "B-PER", "I-PER"))


def test_a_label_that_is_not_the_ensembles_is_named(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "x", "label": 1}\n{"text": "y", "label": "neutral"}\n')
    with pytest.raises(EvaluationError, match=r"neutral is no label.*positive"):
        read_labelled(Source("x", path), Columns(), {"1": "positive"}, ["negative", "positive"])


def test_no_records_are_no_evaluation(tmp_path: Path) -> None:
    path = tmp_path / "none.jsonl"
    path.write_text("")
    with pytest.raises(EvaluationError, match="no records"):
        eval_task_for(tagger(tmp_path), Data([Source("x", path)]))
