"""Which tokens continue the word before them."""

from __future__ import annotations

import numpy as np

from streamproc.serving.chunking.tokens import TextTokenizer, Tokens


def continuations(tokenizer: TextTokenizer, text: str, tokens: Tokens) -> list[bool]:
    """For each token, whether it continues the word that the token before it belongs to.

    As `gather_pre_entities` of transformers 4.57.6 tells it, oddities included: a tokenizer that
    marks continuations ("##ing") is believed, by a token's spelling being longer or shorter than
    the text it stands for; with any other a word ends at a space and nowhere else. An unknown token
    never continues a word.
    """
    starts, ends = tokens.offsets.T
    if tokenizer.marks_continuations:
        found = np.array(tokenizer.spelling_lengths(tokens.ids), np.int64) != ends - starts
    else:
        inside = [start > 0 and " " not in text[start - 1 : start + 1] for start in starts.tolist()]
        found = np.array(inside, np.bool_)
    if tokenizer.unknown_id is not None:
        found &= tokens.ids != tokenizer.unknown_id
    continuing: list[bool] = found.tolist()
    return continuing
