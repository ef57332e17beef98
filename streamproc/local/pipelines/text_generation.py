"""`text-generation`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, overload

from streamproc.errors import Invalid
from streamproc.local.pipelines.generation_keywords import WRITING
from streamproc.local.pipelines.keywords import (
    NO_EFFECT,
    TAKEN,
    Keyword,
    Only,
    Taken,
    truncates,
    whole,
)
from streamproc.local.pipelines.task_pipeline import Bodies, Call, TaskPipeline

Generated = list[dict[str, Any]]

# `PreTrainedTokenizerBase.clean_up_tokenization` of transformers 4.57.6.
_CLEANED: Final = (
    *((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't")),
    *((" 'm", "'m"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re")),
)
_FORM: Final = ("return_full_text", "clean_up_tokenization_spaces", "num_return_sequences")
_LENGTH = "it counts the prompt's tokens too, whose number depends on the tokenizer; pass {}"


class TextGenerationPipeline(TaskPipeline):
    """A prompt and how it goes on; `return_full_text=False` gives what was added alone.

    How tokens are chosen is the manifest's to say, and where it says nothing the likeliest; there
    it would be by lot, with a temperature of 0.7.
    """

    task: ClassVar[str] = "text-generation"
    keywords: ClassVar[Mapping[str, Keyword]] = {
        **WRITING,
        "return_full_text": TAKEN,
        "prefix": TAKEN,
        "handle_long_generation": Taken("truncate", {"hole": "start", None: None}.__getitem__),
        "truncation": Taken("truncate", lambda value: "end" if truncates(value) else None),
        "clean_up_tokenization_spaces": TAKEN,
        "skip_special_tokens": Only((True, None), "special tokens are no text"),
        "add_special_tokens": Only((False, None), "the ensemble's tokenizer says which it adds"),
        "num_return_sequences": TAKEN,
        "num_beams": Only((1, None), "a prompt is continued without beams"),
        "max_length": Only((None,), _LENGTH.format("max_new_tokens=")),
        "min_length": Only((None,), _LENGTH.format("min_new_tokens=")),
        "continue_final_message": NO_EFFECT,
    }

    @overload
    def __call__(self, inputs: str, **options: Any) -> Generated: ...
    @overload
    def __call__(self, inputs: list[str] | tuple[str, ...], **options: Any) -> list[Generated]: ...
    @overload
    def __call__(self, inputs: Iterable[str], **options: Any) -> Iterator[Generated]: ...
    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Texts that go on.

        inputs: a prompt, a list of prompts, or what else iterates over prompts
        returns: of a prompt [{"generated_text"}], as many as `num_return_sequences`; of a list a
            list of these
        Raises Invalid, SettingsError, and WorkerFault when the models can't run.
        """
        if self.is_one(inputs):
            return self._answer_one(inputs, options)
        return self._answer_all(inputs, options)

    def call_of(self, read: dict[str, Any]) -> Call:
        params = {name: value for name, value in read.items() if value is not None}
        whole("num_return_sequences", params.get("num_return_sequences", 1), 1)
        form: dict[str, Any] = {
            name: params.pop(name) for name in (*_FORM, "prefix") if name in params
        }
        return Call(params, form)

    def bodies(self, one: Any, call: Call) -> Bodies:
        if not isinstance(one, str):
            raise Invalid(
                "not a prompt",
                f"a prompt is a str; found {type(one).__name__}. A chat has to be written out as "
                "the text that the model learned from",
            )
        text = call.form.get("prefix", "") + one
        count, seed = call.form.get("num_return_sequences", 1), call.params.get("seed") or 0
        if count == 1:
            return [{"text": text, "params": {"return_full_text": False}}]
        # Each draws its own lots: a prompt alone would always get the same ones.
        return [
            {"text": text, "params": {"return_full_text": False, "seed": seed + number}}
            for number in range(count)
        ]

    def answer(self, one: Any, results: list[dict[str, Any]], call: Call) -> Generated:
        return [
            {
                "generated_text": self._text(one, result["generated_text"], call.form),
                **_more(result),
            }
            for result in results
        ]

    def _text(self, prompt: str, added: str, form: Mapping[str, Any]) -> str:
        if form.get("clean_up_tokenization_spaces", True):
            before = form.get("prefix", "") + prompt
            added = _cleaned(before + added)[len(_cleaned(before)) :]
        return prompt + added if form.get("return_full_text", True) else added


def _more(result: dict[str, Any]) -> dict[str, Any]:
    """What a call asked for beyond transformers' own: `next_tokens`."""
    return {name: result[name] for name in ("next_tokens",) if name in result}


def _cleaned(text: str) -> str:
    for found, instead in _CLEANED:
        text = text.replace(found, instead)
    return text
