"""`summarization`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from streamproc.local.pipelines.generation_keywords import TEXT_TO_TEXT
from streamproc.local.pipelines.keywords import Keyword, Taken, truncates
from streamproc.local.pipelines.text_to_text import TextToTextPipeline


class SummarizationPipeline(TextToTextPipeline):
    """A document of any length, in chunks as long as the model takes; lengths are those of a chunk.

    `truncation=True` reads the first chunk alone.
    """

    task: ClassVar[str] = "summarization"
    key: ClassVar[str] = "summary_text"
    keywords: ClassVar[Mapping[str, Keyword]] = {
        **TEXT_TO_TEXT,
        "truncation": Taken("truncate", truncates),
    }
