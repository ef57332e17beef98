from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optimum")

import onnxruntime

from streamproc.offline.corpus.partitioning import ByHash
from streamproc.offline.corpus.questions import Question
from streamproc.offline.corpus.rows import Source
from streamproc.offline.training.base import find_base
from streamproc.offline.training.encoder_trainer import Learning
from streamproc.offline.training.events import MemberExported
from streamproc.offline.training.plan import TrainingPlan
from streamproc.offline.training.pruning import PruneConfig
from streamproc.offline.training.question_answering import QuestionAnswering
from streamproc.offline.training.record_requests import one_member_spec
from streamproc.offline.training.validation import Validation
from streamproc.offline.training.vocabulary import trim_vocabulary
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Chunk, Window
from streamproc.serving.inference.batch import ModelInput
from streamproc.types import FloatArray
from tests.support.tiny_corpora import GOOD, NEUTRAL
from tests.support.trainings import events_of, options

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
            Window(32, 8),
        ),
        corpus=[Source("tiny", questions(tmp_path / "train.jsonl", 400, 1))],
        valid=[Source("tiny", questions(tmp_path / "valid.jsonl", 40, 2))],
        partitioning=ByHash(1),
        folder=tmp_path / "work",
    )

    (exported,) = [told.exported for told in events_of(plan) if isinstance(told, MemberExported)]
    session = onnxruntime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])

    assert exported.validation.metrics["f1"] > 0.6
    assert [output.name for output in session.get_outputs()] == ["start_logits", "end_logits"]


def chunks_of(
    base: Path, record: Question, window: Window
) -> tuple[QuestionAnswering, Validation[Question]]:
    """The task, and one record to be measured by."""
    task = QuestionAnswering(find_base(base))
    words = trim_vocabulary(base, ["good bad"], 170).tokenizer.to_str().encode()
    spec = one_member_spec(TextTokenizer(words), (), window)
    validation = Validation(task, [record], spec)
    return task, validation


def test_only_the_context_is_cut_and_windows_without_the_answer_point_at_the_first_token(
    base: Path,
) -> None:
    context = "good " * 20 + "bad"
    record = Question("the it", context, ((100, "bad"),), {})

    task, validation = chunks_of(base, record, Window(20, 4))

    cut = list(validation.chunks)
    question = cut[0].chunk.ids[: int(cut[0].chunk.type_ids.argmax())].tolist()
    assert all(one.chunk.ids[: len(question)].tolist() == question for one in cut)
    assert all(len(one.chunk.ids) <= 20 for one in cut)
    assert [one.targets.any() for one in cut] == [False] * (len(cut) - 1) + [True]
    start, end = cut[-1].targets
    assert cut[-1].chunk.ids[start : end + 1].tolist() == cut[-1].chunk.ids[-2:-1].tolist()
    # What is learned from leaves out the windows that an answer elsewhere says nothing of.
    assert [task.learns_from(record, one.targets) for one in cut] == [
        *[False] * (len(cut) - 1),
        True,
    ]


def test_the_best_answer_of_all_windows_is_handed_back_with_its_true_text(base: Path) -> None:
    context = "good  it\tvery good story it film\nBad!"
    record = Question("the it", context, ((33, "Bad"),), {})
    _, validation = chunks_of(base, record, Window(12, 2))
    right = {one.chunk.ids.tobytes(): one.targets for one in validation.chunks}

    def knows(sequences: Sequence[ModelInput]) -> list[FloatArray]:
        scores = [np.zeros((len(one.ids), 2)) for one in sequences]
        for own, one in zip(scores, sequences, strict=True):
            own[right[one.ids.tobytes()], [0, 1]] = 9
        return scores

    found = validation.evaluate(knows)

    assert found.metrics == {"f1": 1, "exact": 1, "kept": 0, "refused": 0}
    assert found.loss < 0.01


def test_answers_are_kept_where_there_is_one_and_refused_where_there_is_none(base: Path) -> None:
    task = QuestionAnswering(find_base(base))
    words = trim_vocabulary(base, ["good bad"], 170).tokenizer.to_str().encode()
    spec = one_member_spec(TextTokenizer(words), (), Window(12, 2))
    records = [
        Question("the it", "it very good story", ((8, "good"),), {}),
        Question("the it", "it very bad story", (), {}),
    ]
    validation = Validation(task, records, spec)

    def says(place: Callable[[Chunk], int]) -> dict[str, float]:
        def score(sequences: Sequence[ModelInput]) -> list[FloatArray]:
            scores = [np.zeros((len(one.ids), 2)) for one in sequences]
            for own, one in zip(scores, sequences, strict=True):
                own[place(one)] = 9  # type: ignore[arg-type]
            return scores

        return dict(validation.evaluate(score).metrics)

    good = trim_vocabulary(base, ["good bad"], 170).tokenizer.token_to_id("good")
    assert says(lambda chunk: 0) == {"f1": 0, "exact": 0, "kept": 0, "refused": 1}
    knows = says(lambda chunk: int((chunk.ids == good).argmax()))
    assert knows == {"f1": 1, "exact": 1, "kept": 1, "refused": 1}
