"""`question-answering`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, overload

from streamproc.errors import Invalid
from streamproc.local.pipelines.keywords import NO_EFFECT, TAKEN, Keyword, Taken
from streamproc.local.pipelines.task_pipeline import Bodies, Call, TaskPipeline
from streamproc.local.pipelines.windows import window_of

Answers = dict[str, Any] | list[dict[str, Any]]
_LONGEST_OVERLAP = 128


class QuestionAnsweringPipeline(TaskPipeline):
    """The words of a context that answer a question, with their place and score.

    A context of any length is read in windows of `max_seq_len` tokens that overlap by `doc_stride`;
    both default to the ensemble's own.
    """

    task: ClassVar[str] = "question-answering"
    keywords: ClassVar[Mapping[str, Keyword]] = {
        "top_k": TAKEN,
        "topk": Taken("top_k"),
        "max_answer_len": Taken("max_answer_tokens"),
        "handle_impossible_answer": TAKEN,
        "align_to_words": TAKEN,
        "doc_stride": TAKEN,
        "max_seq_len": TAKEN,
        # Only tokenizers that are written in Python cut questions, there.
        "max_question_len": NO_EFFECT,
    }

    @overload
    def __call__(self, *, question: str, context: str, **options: Any) -> Any: ...
    @overload
    def __call__(self, *, question: list[str], context: str | list[str], **options: Any) -> Any: ...
    @overload
    def __call__(self, *args: Any, **options: Any) -> Any: ...
    def __call__(self, *args: Any, **options: Any) -> Any:
        """The answers to questions.

        question, context: a text each, or lists of the same length, or one context for all
        args: the same as a dict {"question": ..., "context": ...}, as a list of these, or as what
            else iterates over them
        returns: {"score", "start", "end", "answer"}; where `top_k` finds several a list of these;
            of several questions a list of that
        Raises Invalid, SettingsError, and WorkerFault when the models can't run.
        """
        asked = self.inputs_of(args, options)
        if isinstance(asked, list) and len(asked) == 1:
            # As there: a list of one question is one question.
            return self._answer_one(asked[0], options)
        return self._answer_all(asked, options)

    def inputs_of(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return _inputs(args, options)

    def call_of(self, read: dict[str, Any]) -> Call:
        params = {name: value for name, value in read.items() if value is not None}
        longest, overlap = params.pop("max_seq_len", None), params.pop("doc_stride", None)
        if overlap is None and isinstance(longest, int):
            overlap = min(longest // 2, _LONGEST_OVERLAP)
        window = window_of(self._manifest, ("max_seq_len", longest), ("doc_stride", overlap))
        return Call(params, window=window)

    def bodies(self, one: Any, call: Call) -> Bodies:
        if not isinstance(one, Mapping) or {"question", "context"} - one.keys():
            # transformers' own SquadExample has these two.
            if not hasattr(one, "question_text"):
                raise Invalid(
                    "not a question", 'an input is a dict {"question": ..., "context": ...}'
                )
            one = {"question": one.question_text, "context": one.context_text}
        return [{"question": one["question"], "context": one["context"]}]

    def answer(self, one: Any, results: list[dict[str, Any]], call: Call) -> Answers:
        (result,) = results
        answers = [
            {name: answer[name] for name in ("score", "start", "end", "answer")}
            for answer in result["answers"]
        ]
        return answers[0] if len(answers) == 1 else answers


def _inputs(inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The questions of a call, whichever of the forms it has; those in `options` are taken out."""
    if len(inputs) == 2 and all(isinstance(one, str) for one in inputs):
        return [{"question": inputs[0], "context": inputs[1]}]
    if len(inputs) > 1:
        return list(inputs)
    if inputs:
        # A str would be iterated over, letter by letter.
        return [inputs[0]] if isinstance(inputs[0], Mapping | str) else inputs[0]
    for name in ("X", "data"):
        if name in options:
            return _inputs((options.pop(name),), options)
    if "question" not in options or "context" not in options:
        raise Invalid("no question", "question= and context= are needed")
    questions, contexts = options.pop("question"), options.pop("context")
    if isinstance(questions, str):
        questions = [questions]
    if isinstance(contexts, str):
        contexts = [contexts] * len(questions)
    if len(questions) != len(contexts):
        raise Invalid(
            "questions and contexts",
            f"there are {len(questions)} questions and {len(contexts)} contexts; give one context "
            "for all, or one for each",
        )
    pairs = zip(questions, contexts, strict=True)
    return [{"question": question, "context": context} for question, context in pairs]
