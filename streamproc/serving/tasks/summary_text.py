"""A summary being put together of those of a document's chunks."""

from __future__ import annotations

from streamproc.serving.chunking.sentences import Sentence
from streamproc.types import JsonObject


class SummaryText:
    """What was written of each chunk, a line each.

    complete: whether every chunk has been summarised; false where its member was lost in one
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._chunks: list[JsonObject] = []
        self.complete = True

    def add(self, span: Sentence, written: str, *, finished: bool) -> str:
        """The summary of the next chunk; returns what the text is longer by."""
        longer = "\n" + written if written and any(self._parts) else written
        self._parts.append(written)
        reason = "stop" if finished else "length"
        self._chunks.append({"start": span.start, "end": span.end, "finish_reason": reason})
        return longer

    def text(self) -> str:
        """The summaries of all chunks that have one."""
        return "\n".join(filter(None, self._parts))

    def result(self) -> JsonObject:
        """transformers' key, and the chunks that were summarised one by one: one if all fitted."""
        cut = any(chunk["finish_reason"] == "length" for chunk in self._chunks)
        return {
            "summary_text": self.text(),
            "finish_reason": "length" if cut else "stop",
            "chunks": self._chunks,
        }
