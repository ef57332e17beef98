"""`translation`, also called `translation_xx_to_yy`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, overload

from streamproc.errors import Invalid
from streamproc.local.pipelines.generation_keywords import WRITING
from streamproc.local.pipelines.keywords import Keyword, Only, Taken
from streamproc.local.pipelines.task_pipeline import Bodies, Call, TaskPipeline

Translations = list[dict[str, str]]


def _without_start(tokens: int | None) -> int | None:
    """A length that counts the token which every translation begins with, without it."""
    return None if tokens is None else max(0, tokens - 1)


class TranslationPipeline(TaskPipeline):
    """A text of any length, translated sentence by sentence; lengths are those of a sentence.

    How it is searched for is the manifest's to say, and where it says nothing greedy; there it
    would be four beams.
    """

    task: ClassVar[str] = "translation"
    key: ClassVar[str] = "translation_text"
    keywords: ClassVar[Mapping[str, Keyword]] = {
        **WRITING,
        "src_lang": Taken("source_language"),
        "tgt_lang": Taken("target_language"),
        "max_length": Taken("max_new_tokens", _without_start),
        "min_length": Taken("min_new_tokens", _without_start),
        "do_sample": Only((False, None), "a translation is searched for, not drawn by lot"),
        "num_return_sequences": Only((1, None), "a text has one translation"),
        "truncation": Only(
            (False, None, "do_not_truncate"),
            "nothing is cut off: a text of any length is translated, sentence by sentence",
        ),
        "clean_up_tokenization_spaces": Only(
            (False, None), "spaces are as the ensemble's tokenizer writes them"
        ),
    }

    @overload
    def __call__(
        self, inputs: str | list[str] | tuple[str, ...], **options: Any
    ) -> Translations: ...
    @overload
    def __call__(self, inputs: Iterable[str], **options: Any) -> Iterator[Translations]: ...
    def __call__(self, inputs: Any, **options: Any) -> Any:
        """The translations of texts.

        inputs: a text, a list of texts, or what else iterates over texts
        returns: of a text [{"translation_text"}], of a list one list of these; an iterator gives a
            list of one for each text, as there
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

    def answer(self, one: Any, results: list[dict[str, Any]], call: Call) -> Translations:
        (result,) = results
        return [{self.key: result[self.key]}]
