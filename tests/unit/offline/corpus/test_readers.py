"""Records of the corpora for tasks other than text classification."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamproc.errors import TrainingError
from streamproc.offline.corpus.partitioning import ByField, ByHash, CorpusRecord
from streamproc.offline.corpus.passages import Passage, read_passages
from streamproc.offline.corpus.questions import Question, read_questions
from streamproc.offline.corpus.rows import Source, described, source_from
from streamproc.offline.corpus.tagged import TaggedText, read_tagged
from streamproc.offline.corpus.text_samples import read_text_samples
from streamproc.offline.corpus.translation_pairs import Pair, read_pairs
from tests.support.corpora import parts_of


def written(path: Path, *rows: dict[str, Any]) -> Source:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Source("mine", path)


def test_tagged_words_become_a_text_with_single_spaces(tmp_path: Path) -> None:
    row = {"tokens": ["Ada", "slept", "."], "tags": ["B-PER", "O", "O"], "domain": "x"}

    (text,) = read_tagged(written(tmp_path / "c.jsonl", row))

    fields = {"corpus": "mine", "domain": "x"}
    assert text == TaggedText(("Ada", "slept", "."), ("B-PER", "O", "O"), fields)
    assert text.text == "Ada slept ."


def test_a_question_may_have_several_answers_or_none(tmp_path: Path) -> None:
    about = {"question": "Who?", "context": "Ada and Bob"}
    source = written(
        tmp_path / "c.jsonl",
        {**about, "answers": {"text": ["Ada", "Bob"], "answer_start": [0, 8]}},
        {**about, "answers": {"text": [], "answer_start": []}},
    )

    first, second = read_questions(source)

    assert first == Question("Who?", "Ada and Bob", ((0, "Ada"), (8, "Bob")), {"corpus": "mine"})
    assert second.answers == ()


def test_questions_on_one_paragraph_and_translations_of_one_sentence_share_a_part(
    tmp_path: Path,
) -> None:
    answers: dict[str, list[str]] = {"text": [], "answer_start": []}
    questions = [
        {"question": str(n), "context": str(n // 4), "answers": answers} for n in range(40)
    ]
    pairs = [{"src": str(n // 4), "tgt": str(n)} for n in range(40)]
    corpora: tuple[list[CorpusRecord], ...] = (
        list(read_questions(written(tmp_path / "q.jsonl", *questions))),
        list(read_pairs(written(tmp_path / "p.jsonl", *pairs))),
    )

    for records in corpora:
        parts = parts_of(records, ByHash(3))
        texts = [{record.text for record in part} for part in parts.values()]
        assert len(texts) == 3
        assert sum(map(len, texts)) == len(set.union(*texts)) == 10


def test_pairs_and_passages_keep_their_texts_as_they_are(tmp_path: Path) -> None:
    pair = written(tmp_path / "p.jsonl", {"src": "It rains. ", "tgt": "Es regnet.\n"})
    passage = written(tmp_path / "t.jsonl", {"body": " a\n\nb ", "year": 1843})

    assert list(read_pairs(pair)) == [Pair("It rains. ", "Es regnet.\n", {"corpus": "mine"})]
    assert list(read_passages(passage, "body")) == [
        Passage(" a\n\nb ", {"corpus": "mine", "year": "1843"})
    ]


@pytest.mark.parametrize(
    ("read", "row", "said"),
    [
        (read_tagged, {"tokens": ["a"], "tags": ["O", "O"]}, "1 tokens, but 2 tags"),
        (read_tagged, {"tokens": ["a"], "tags": ["PER"]}, "'PER' is none of O, B-… and I-…"),
        (read_tagged, {"tokens": ["a"], "tags": ["B-"]}, "'B-' is none of"),
        (read_tagged, {"tokens": "a", "tags": ["O"]}, "'tokens' is not a list of texts"),
        (read_questions, {"question": "q", "context": "c", "answers": []}, "not an object"),
        (
            read_questions,
            {"question": "q", "context": "c", "answers": {"text": ["c"]}},
            "as many texts as answer_starts",
        ),
        (
            read_questions,
            {"question": "q", "context": "ab", "answers": {"text": ["b"], "answer_start": [0]}},
            "'b' does not stand at 0",
        ),
        (
            read_questions,
            {"question": "q", "context": "ab", "answers": {"text": [1], "answer_start": [0]}},
            "does not stand",
        ),
        (read_pairs, {"src": "a"}, "no field 'tgt'"),
        (read_passages, {"text": 3}, "'text' is not a text"),
    ],
)
def test_a_record_that_cannot_be_used_is_told_with_file_and_line(
    read: Callable[[Source], Iterator[object]], row: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"c\.jsonl, line 1: ") as raised:
        list(read(written(tmp_path / "c.jsonl", row)))

    assert said in str(raised.value)


def test_a_source_is_named_by_the_user_or_for_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "ner_btc" / "train.jsonl"

    assert source_from(str(path)) == Source("ner_btc", path)
    assert source_from(f"twitter={path}") == Source("twitter", path)
    assert source_from(f"{tmp_path}/a=b/c.jsonl") == Source("a=b", tmp_path / "a=b" / "c.jsonl")
    assert described([Source("twitter", path)] * 2) == "ner_btc/train.jsonl, ner_btc/train.jsonl"


def test_files_of_one_name_are_one_part(tmp_path: Path) -> None:
    sources = [Source(name, tmp_path / f"{n}.jsonl") for n, name in enumerate("aba")]
    for source in sources:
        written(source.path, {"text": source.path.name})

    parts = parts_of([p for s in sources for p in read_passages(s)], ByField("corpus"))

    assert {name: [p.text for p in part] for name, part in parts.items()} == {
        "a": ["0.jsonl", "2.jsonl"],
        "b": ["1.jsonl"],
    }


def test_an_answer_without_a_character_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = {"question": "who", "context": "nobody", "answers": {"text": [""], "answer_start": [0]}}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")

    (question,) = read_questions(Source("", path))

    assert question.answers == ()


def test_words_are_chosen_by_the_field_that_holds_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"body": "one", "text": "no"}\n{"text": "two"}\n', encoding="utf-8")

    assert list(read_text_samples(Source("", path), "body")) == [("one", None), ("two", None)]
