"""A tokenizer that the tokenizers library panics with, over one text and over no other."""

from __future__ import annotations

from typing import Final

from tokenizers import Regex, Tokenizer
from tokenizers.pre_tokenizers import BertPreTokenizer, Sequence, Split

from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.testing import tokenizer_json

# The regular expression takes exponential time for it, and the library's engine gives up on that.
PANICS: Final = "a" * 40 + "c"


def panicking_library() -> Tokenizer:
    """As the library has it."""
    tokenizer = Tokenizer.from_buffer(tokenizer_json())
    split = Split(Regex("(a+)+b"), "isolated")
    tokenizer.pre_tokenizer = Sequence([split, BertPreTokenizer()])
    return tokenizer


def panicking_tokenizer() -> TextTokenizer:
    """As an ensemble has it."""
    return TextTokenizer(panicking_library().to_str().encode())
