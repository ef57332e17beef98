"""`translation`, also called `translation_xx_to_yy`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from streamproc.local.pipelines.generation_keywords import TEXT_TO_TEXT
from streamproc.local.pipelines.keywords import Keyword, Only, Taken
from streamproc.local.pipelines.text_to_text import TextToTextPipeline


def _without_start(tokens: int | None) -> int | None:
    """A length that counts the token which every translation begins with, without it."""
    return None if tokens is None else max(0, tokens - 1)


class TranslationPipeline(TextToTextPipeline):
    """A text of any length, translated sentence by sentence; lengths are those of a sentence."""

    task: ClassVar[str] = "translation"
    key: ClassVar[str] = "translation_text"
    keywords: ClassVar[Mapping[str, Keyword]] = {
        **TEXT_TO_TEXT,
        "src_lang": Taken("source_language"),
        "tgt_lang": Taken("target_language"),
        "max_length": Taken("max_new_tokens", _without_start),
        "min_length": Taken("min_new_tokens", _without_start),
        "truncation": Only(
            (False, None, "do_not_truncate"),
            "nothing is cut off: a text of any length is translated, sentence by sentence",
        ),
    }
