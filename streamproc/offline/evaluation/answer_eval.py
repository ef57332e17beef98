"""Answers: exact match and F1 as SQuAD has them, and whether silence is kept where it should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from streamproc.offline.corpus.questions import Question
from streamproc.offline.evaluation.eval_metrics import (
    CALIBRATION,
    Metric,
    calibration_statistics,
    ratio,
)
from streamproc.offline.evaluation.eval_task import EvalTask, JsonObject, result_of
from streamproc.offline.evaluation.squad import best_of, exact_match, f1
from streamproc.types import BoolArray, FloatArray

Compare = Callable[[str, str], float]

_WHETHER = {"handle_impossible_answer": True}


class AnswerEval(EvalTask):
    """Questions on paragraphs that hold the answer, or do not.

    Those that can be answered are asked as they are, for F1 and exact match. Where there are some
    that can't, all are asked whether there is an answer: `refused` is the share of those without
    that get none, `kept` of those with one that get any. A confidence is the answer's score, which
    is right when it is an exact match, or silence where there is no answer.
    """

    confidence_of = "answers"

    def __init__(self, questions: Sequence[Question]) -> None:
        self.records = len(questions)
        self.fields = [question.fields for question in questions]
        self._right = [[text for _, text in question.answers] for question in questions]
        answerable = np.array([bool(right) for right in self._right], np.bool_)
        self._answerable = answerable
        self.requests = [
            _request(question, {} if question.answers else _WHETHER) for question in questions
        ]
        metrics = []
        if answerable.any():
            metrics += [Metric("F1", ratio), Metric("exact match", ratio)]
        if not answerable.all():
            metrics += [Metric("refused", ratio)]
        if answerable.any() and not answerable.all():
            metrics += [Metric("kept", ratio)]
            self.requests += [_request(one, _WHETHER) for one in questions if one.answers]
        self.metrics = [*metrics, CALIBRATION]

    def statistics(self, responses: Sequence[JsonObject]) -> list[FloatArray]:
        said = [str(result_of(response).get("answer", "")) for response in responses]
        own, again = said[: self.records], said[self.records :]
        answered = np.array([response["status"] != "error" for response in responses], np.bool_)
        refused = answered & np.array([not answer for answer in said], np.bool_)
        kept = np.zeros(self.records)
        if again:
            kept[self._answerable] = [bool(answer) for answer in again]
        exact = self._against_right(exact_match, own)
        found = {
            "F1": self._mean(self._against_right(f1, own), self._answerable),
            "exact match": self._mean(exact, self._answerable),
            "refused": self._mean(refused[: self.records], ~self._answerable),
            "kept": self._mean(kept, self._answerable),
            CALIBRATION.name: calibration_statistics(*self._confidences(responses, exact)),
        }
        return [found[metric.name] for metric in self.metrics]

    def confidences(self, responses: Sequence[JsonObject]) -> tuple[FloatArray, BoolArray]:
        said = [str(result_of(one).get("answer", "")) for one in responses[: self.records]]
        return self._confidences(responses, self._against_right(exact_match, said))

    def _confidences(
        self, responses: Sequence[JsonObject], exact: FloatArray
    ) -> tuple[FloatArray, BoolArray]:
        """exact: (records,) 1 where an answer is an exact match, or silence where it should be."""
        own = responses[: self.records]
        # The score of an answer that stands in several windows is their sum, which may exceed 1.
        score = [min(1.0, result_of(response).get("score", 0.0)) for response in own]
        answered = np.array([response["status"] != "error" for response in own], np.bool_)
        return np.array(score, np.float64), answered & (exact == 1)

    def agreement(self, responses: Sequence[JsonObject]) -> FloatArray:
        """Not of questions without an answer where the first metric is of those with one."""
        found = super().agreement(responses)
        return np.where(self._answerable, found, np.nan) if self._answerable.any() else found

    def _against_right(self, metric: Compare, said: Sequence[str]) -> FloatArray:
        pairs = zip(said, self._right, strict=True)
        return np.array([best_of(metric, answer, right) for answer, right in pairs], np.float64)

    @staticmethod
    def _mean(reached: FloatArray | BoolArray, asked: BoolArray) -> FloatArray:
        """Statistics for `ratio` of the records that are asked for it."""
        return np.stack((np.where(asked, reached, 0.0), asked), axis=1).astype(np.float64)


def _request(question: Question, params: dict[str, bool]) -> JsonObject:
    return {"question": question.question, "context": question.context, "params": params}
