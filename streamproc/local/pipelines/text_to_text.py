"""What `translation` and `summarization` share: a text is written anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, overload

from streamproc.errors import Invalid
from streamproc.local.pipelines.task_pipeline import Bodies, Call, TaskPipeline

Written = list[dict[str, str]]


class TextToTextPipeline(TaskPipeline):
    """One text for each; how it is searched for is the manifest's to say, and where it says nothing
    greedy. There it would be four beams.

    key: what the text is called in an answer, as in a response
    """

    key: ClassVar[str]

    @overload
    def __call__(self, inputs: str | list[str] | tuple[str, ...], **options: Any) -> Written: ...
    @overload
    def __call__(self, inputs: Iterable[str], **options: Any) -> Iterator[Written]: ...
    def __call__(self, inputs: Any, **options: Any) -> Any:
        """The texts that are written.

        inputs: a text, a list of texts, or what else iterates over texts
        returns: of a text a list of one dict, of a list one list of these; an iterator gives a list
            of one for each text, as there
        Raises Invalid, SettingsError, and WorkerFault when the models can't run.
        """
        if self.is_one(inputs):
            return self._answer_one(inputs, options)
        answers = self._answer_all(inputs, options)
        return [one for (one,) in answers] if isinstance(answers, list) else answers

    def call_of(self, read: dict[str, Any]) -> Call:
        return Call({name: value for name, value in read.items() if value is not None})

    def bodies(self, one: Any, call: Call) -> Bodies:
        if not isinstance(one, str):
            raise Invalid("not a text", f"an input is a str; found {type(one).__name__}")
        return [{"text": one}]

    def answer(self, one: Any, results: list[dict[str, Any]], call: Call) -> Written:
        (result,) = results
        return [{self.key: result[self.key]}]
