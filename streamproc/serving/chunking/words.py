"""Which tokens continue the word before them."""

from __future__ import annotations

from streamproc.serving.chunking.tokens import TextTokenizer, Tokens


def continuations(tokenizer: TextTokenizer, text: str, tokens: Tokens) -> list[bool]:
    """For each token, whether it continues the word that the token before it belongs to.

    As `gather_pre_entities` of transformers 4.57.6 tells it, oddities included: a tokenizer that
    marks continuations ("##ing") is believed, by a token's spelling being longer or shorter than
    the text it stands for; with any other a word ends at a space and nowhere else. An unknown token
    never continues a word.
    """
    spans = tokens.offsets.tolist()
    if tokenizer.marks_continuations:
        spellings = map(tokenizer.spelling, tokens.ids.tolist())
        found = [
            len(spelling) != end - start
            for spelling, (start, end) in zip(spellings, spans, strict=True)
        ]
    else:
        found = [start > 0 and " " not in text[start - 1 : start + 1] for start, _ in spans]
    return [
        continuing and token != tokenizer.unknown_id
        for continuing, token in zip(found, tokens.ids.tolist(), strict=True)
    ]
