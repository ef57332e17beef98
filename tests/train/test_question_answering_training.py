from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optimum")

import onnxruntime

from streamproc.offline.corpus.partitioning import ByHash
from streamproc.offline.corpus.questions import Question
from streamproc.offline.corpus.rows import Source
from streamproc.offline.training.base import find_base
from streamproc.offline.training.encoder import Learning
from streamproc.offline.training.events import MemberExported
from streamproc.offline.training.plan import TrainingPlan
from streamproc.offline.training.pruning import PruneConfig
from streamproc.offline.training.question_answering import (
    QuestionAnswering,
    Questions,
    mismatched,
)
from streamproc.offline.training.scoring import WindowSize
from streamproc.offline.training.vocabulary import trim_vocabulary
from streamproc.offline.training.windows import Batch
from tests.support.trainings import events_of, options
from tests.train.conftest import GOOD, NEUTRAL

pytestmark = pytest.mark.train


def questions(path: Path, count: int, seed: int) -> Path:
    """The answer is the one word of GOOD."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        words, answer = draw.choices(NEUTRAL, k=draw.randint(4, 24)), draw.choice(GOOD)
        words.insert(draw.randrange(len(words)), answer)
        context = " ".join(words)
        answers = {"text": [answer], "answer_start": [f" {context} ".index(f" {answer} ")]}
        lines.append(json.dumps({"question": "what", "context": context, "answers": answers}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_members_learn_where_answers_stand(base: Path, tmp_path: Path) -> None:
    plan = TrainingPlan(
        config=options(tmp_path, task="question-answering", epochs=4, batch=16, learning_rate=5e-3),
        recipe=QuestionAnswering(
            find_base(base),
            170,
            PruneConfig((0, 2), 32, positions=32),
            Learning(32, 1),
            WindowSize(32, 8),
        ),
        corpus=[Source("tiny", questions(tmp_path / "train.jsonl", 400, 1))],
        valid=[Source("tiny", questions(tmp_path / "valid.jsonl", 40, 2))],
        partitioning=ByHash(1),
        folder=tmp_path / "work",
    )

    (shipped,) = [told.exported for told in events_of(plan) if isinstance(told, MemberExported)]
    session = onnxruntime.InferenceSession(str(shipped.path), providers=["CPUExecutionProvider"])

    assert shipped.shipped.metrics["f1"] > 0.6
    assert [output.name for output in session.get_outputs()] == ["start_logits", "end_logits"]


def asked(base: Path, *records: Question) -> Questions:
    return Questions(records, trim_vocabulary(base, ["good bad"], 170).tokenizer)


def test_only_the_context_is_cut_and_windows_without_the_answer_point_at_the_first_token(
    base: Path,
) -> None:
    context = "good " * 20 + "bad"
    read = asked(base, Question("the it", context, ((100, "bad"),), {}))

    cut = read.windows(20, 4)

    question = cut[0].ids[: int(cut[0].type_ids.argmax())].tolist()
    assert all(window.ids[: len(question)].tolist() == question for window in cut)
    assert all(len(window.ids) <= 20 for window in cut)
    assert [window.target.any() for window in cut] == [False] * (len(cut) - 1) + [True]
    start, end = cut[-1].target
    assert cut[-1].ids[start : end + 1].tolist() == cut[-1].ids[-2:-1].tolist()
    # What is learned from leaves out the windows that an answer elsewhere says nothing of.
    assert len(read.lessons(20)) == 1


def test_the_best_answer_of_all_windows_is_handed_back_with_its_true_text(base: Path) -> None:
    context = "good  it\tvery good story it film\nBad!"
    read = asked(base, Question("the it", context, ((33, "Bad"),), {}))

    def knows(batch: Batch) -> np.ndarray:
        logits = np.zeros((*batch.input_ids.shape, 2), np.float32)
        for row, window in enumerate(batch.windows):
            logits[row, window.target, [0, 1]] = 9
        return logits

    (span,), nothing, right = read.offers(knows, WindowSize(12, 2))

    assert read.text(0, span) == "Bad"
    assert span.probability > 0.9 > nothing[0]
    assert right.min() > 0.9
    assert read.judge(knows, WindowSize(12, 2)).metrics["exact"] == 1


def test_mismatched_questions_have_no_answer_and_their_paragraph_does_not_hold_it() -> None:
    records = [
        Question(f"q{n}", f"paragraph {'x' * n}y", ((10, f"{'x' * n}y"),), {}) for n in range(20)
    ]

    made = list(mismatched(records, 0.5, seed=3))

    assert 0 < len(made) <= 10
    assert all(not question.answers for question in made)
    for question in made:
        answer = records[int(question.question[1:])].answers[0][1]
        assert answer not in question.context
    assert made == list(mismatched(records, 0.5, seed=3))
    assert made != list(mismatched(records, 0.5, seed=4))
