"""What a corpus says, whatever it is for: to choose words by, and to measure frozen layers with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush

from streamproc.offline.corpus.bottom_k_sample import hash_rank
from streamproc.offline.corpus.rows import Source, read_rows

# A text, and the second one of a pair: a question and its paragraph.
TextSample = tuple[str, str | None]


def read_text_samples(source: Source, text_field: str = "text") -> Iterator[TextSample]:
    """The texts of a file with `question` and `context`, or `tokens`, or a text.

    text_field: where the text stands; in rows without such a field it is `text`
    Raises TrainingError with file and line when a row has none of them.
    """
    for row in read_rows(source.path):
        if "question" in row.values:
            yield row.text("question"), row.text("context")
        elif "tokens" in row.values:
            yield " ".join(row.texts("tokens")), None
        else:
            yield row.text(text_field if text_field in row.values else "text"), None


# Of a corpus, for choosing words by: several times what the ensembles of models/ learn from.
_SAMPLED_CHARACTERS = 64 << 20


def sampled(
    texts: Iterable[TextSample], seed: int, most_characters: int = _SAMPLED_CHARACTERS
) -> Sequence[TextSample]:
    """All texts in their order; of more than fit the memory, as many of them as do.

    seed: which ones, the same for the same texts
    """
    heap: list[tuple[int, int, TextSample]] = []
    characters = 0
    for place, text in enumerate(texts):
        key = hash_rank("\0".join(part for part in text if part), seed)
        heappush(heap, (-key, place, text))
        characters += _characters(text)
        while characters > most_characters and len(heap) > 1:
            characters -= _characters(heappop(heap)[2])
    return [text for _, _, text in sorted(heap, key=lambda one: one[1])]


def _characters(text: TextSample) -> int:
    return sum(len(part) for part in text if part)
