"""The special tokens around a pair of texts, as its tokenizer sets them: BERT's, RoBERTa's, any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from streamproc.errors import ModelRefused


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Special tokens in a row; ids and type_ids are (tokens,) int64."""

    ids: NDArray[np.int64]
    type_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class PairFrame:
    """What stands before, between and after a pair of texts.

    first_type, second_type: the token type of every token of the one text and of the other
    """

    before: SpecialTokens
    between: SpecialTokens
    after: SpecialTokens
    first_type: int
    second_type: int

    @property
    def tokens(self) -> int:
        """How many special tokens there are."""
        return len(self.before) + len(self.between) + len(self.after)

    @classmethod
    def of(cls, pair: Encoding) -> Self:
        """What is around the texts of an encoded pair; raises ModelRefused where it has not both.

        Either text must have a token; the one encoded first must stand first.
        """
        sequences = pair.sequence_ids
        first = [place for place, sequence in enumerate(sequences) if sequence == 0]
        second = [place for place, sequence in enumerate(sequences) if sequence == 1]
        if not first or not second or first[-1] > second[0]:
            raise ModelRefused(f"the tokenizer does not put two texts in sequence: {pair.tokens}")
        ids, type_ids = np.array(pair.ids, np.int64), np.array(pair.type_ids, np.int64)

        def between(start: int, end: int | None) -> SpecialTokens:
            return SpecialTokens(ids[start:end], type_ids[start:end])

        return cls(
            before=between(0, first[0]),
            between=between(first[-1] + 1, second[0]),
            after=between(second[-1] + 1, None),
            first_type=int(type_ids[first[0]]),
            second_type=int(type_ids[second[0]]),
        )
