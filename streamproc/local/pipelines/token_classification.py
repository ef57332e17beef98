"""`token-classification`, also called `ner`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, cast, overload

from streamproc.errors import Invalid, SettingsError
from streamproc.local.pipelines.keywords import TAKEN, Keyword, Only, Taken
from streamproc.local.pipelines.task_pipeline import Bodies, Call, TaskPipeline
from streamproc.local.pipelines.windows import window_of

Entities = list[dict[str, Any]]

_AS_WORDS = "a text is cut into words by the ensemble's tokenizer; join the words into a text"


class TokenClassificationPipeline(TaskPipeline):
    """Every token that is no `O`; with `aggregation_strategy` entities of one or more words.

    A text of any length is read to its end. `stride` says by how many tokens its windows overlap,
    and that of two entities that overlap the longer stays, as there.
    """

    task: ClassVar[str] = "token-classification"
    keywords: ClassVar[Mapping[str, Keyword]] = {
        "aggregation_strategy": Taken("aggregation", lambda value: value and value.lower()),
        "grouped_entities": TAKEN,
        "ignore_subwords": TAKEN,
        "ignore_labels": Taken(convert=lambda value: value if value is None else list(value)),
        "stride": TAKEN,
        "is_split_into_words": Only((False, None), _AS_WORDS),
        "delimiter": Only((None,), _AS_WORDS),
        "offset_mapping": Only((None,), _AS_WORDS),
    }

    @overload
    def __call__(self, inputs: str, **options: Any) -> Entities: ...
    @overload
    def __call__(self, inputs: list[str] | tuple[str, ...], **options: Any) -> list[Entities]: ...
    @overload
    def __call__(self, inputs: Iterable[str], **options: Any) -> Iterator[Entities]: ...
    def __call__(self, inputs: Any, **options: Any) -> Any:
        """The entities of texts.

        inputs: a text, a list of texts, or what else iterates over texts
        returns: of a text [{"entity", "score", "index", "word", "start", "end"}], or with an
            aggregation [{"entity_group", "score", "word", "start", "end"}]; of a list a list of
            these. `word` is the text itself, text[start:end]
        Raises Invalid, SettingsError, and WorkerFault when the models can't run.
        """
        if self.is_one(inputs):
            return self._answer_one(inputs, options)
        if isinstance(inputs, (list, tuple)) and not inputs:
            raise Invalid("no input", "At least one input is required.")
        return self._answer_all(inputs, options)

    def call_of(self, read: dict[str, Any]) -> Call:
        params = {name: value for name, value in read.items() if value is not None}
        grouped, whole = params.pop("grouped_entities", None), params.pop("ignore_subwords", None)
        if grouped is not None or whole is not None:
            params["aggregation"] = ("first" if whole else "simple") if grouped else "none"
        params.setdefault("aggregation", "none")
        stride = params.pop("stride", None)
        if stride is None:
            return Call(params)
        if params["aggregation"] == "none":
            raise SettingsError(
                f"stride={stride}: compares entities, which aggregation_strategy='none' does not "
                "make; choose another"
            )
        return Call(
            {**params, "stitch": "longest"},
            window=window_of(self._manifest, ("", None), ("stride", stride)),
        )

    def bodies(self, one: Any, call: Call) -> Bodies:
        if not isinstance(one, str):
            raise Invalid("not a text", f"an input is a str; found {type(one).__name__}")
        return [{"text": one}]

    def answer(self, one: Any, results: list[dict[str, Any]], call: Call) -> Entities:
        (result,) = results
        return cast(Entities, result["entities"])
