"""Small tokenizers of a few words."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from streamproc.serving.chunking.tokens import TextTokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"
WORDS = ("good", "bad", "film", "the")


def build_tokenizer(words: Sequence[str] = WORDS) -> TextTokenizer:
    """A small BERT-like WordPiece tokenizer that knows `words` and single letters."""
    return TextTokenizer(tokenizer_json(words))


def tokenizer_json(words: Sequence[str] = WORDS) -> bytes:
    """What `build_tokenizer` reads, as a model repository keeps it in `tokenizer.json`."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, *LETTERS, *(f"##{c}" for c in LETTERS)]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer.to_str().encode()  # type: ignore[no-any-return]
