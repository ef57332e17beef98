"""`summarization`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from streamproc.local.pipelines.generation_keywords import WRITING
from streamproc.local.pipelines.keywords import Keyword, Only, Taken, truncates
from streamproc.local.pipelines.translation import TranslationPipeline


class SummarizationPipeline(TranslationPipeline):
    """A summary of a text of any length: of the whole where it fits the model, else of its chunks
    in order, a line each; lengths are those of a chunk's summary.

    `truncation=True` reads only as many tokens as the model takes.
    """

    task: ClassVar[str] = "summarization"
    key: ClassVar[str] = "summary_text"
    keywords: ClassVar[Mapping[str, Keyword]] = {
        **WRITING,
        "do_sample": Only((False, None), "a summary is searched for, not drawn by lot"),
        "num_return_sequences": Only((1, None), "a text has one summary"),
        "truncation": Taken("truncate", truncates),
        "clean_up_tokenization_spaces": Only(
            (False, None), "spaces are as the ensemble's tokenizer writes them"
        ),
    }
