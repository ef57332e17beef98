"""Tokens become text as the tokenizer's own decoder has it, special ones left out."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import Unigram
from tokenizers.processors import TemplateProcessing

from streamproc.serving.chunking.tokens import TextTokenizer
from tests.support.translators import TOKENIZER as BYTES


def sentence_pieces() -> TextTokenizer:
    """As T5's and Marian's: pieces of words, their spaces written as a low line."""
    letters = sorted(set("▁abcdefghijklmnopqrstuvwxyzäöüßDWsi,.!"))
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((piece, -9.0) for piece in letters)]
    pieces += [("▁Das", -2.0), ("▁Wetter", -2.0), ("▁ist", -2.0), ("▁schön", -2.0)]
    tokenizer = Tokenizer(Unigram(pieces, unk_id=2))
    tokenizer.normalizer = normalizers.Replace(" {2,}", " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return TextTokenizer(tokenizer.to_str().encode())


PIECES = sentence_pieces()


@pytest.mark.parametrize("text", ["Das Wetter ist schön.", "ist das Wetter", "wie, bitte!"])
def test_sentence_pieces_are_words_and_spaces_again(text: str) -> None:
    assert PIECES.decode(PIECES.encode(text).ids) == text


@pytest.mark.parametrize("text", ["Größe: 你好 👩\u200d👩\u200d👧!", " a  b", "x\ny"])
def test_bytes_are_characters_again(text: str) -> None:
    assert BYTES.decode(BYTES.encode(text).ids) == text


@pytest.mark.parametrize("tokenizer", [PIECES, BYTES])
def test_special_tokens_and_unknown_ids_are_left_out(tokenizer: TextTokenizer) -> None:
    ids = tokenizer.encode("ist").ids
    around = np.concatenate(([1], ids, [0], [tokenizer.vocabulary_size + 7], [1]))

    assert tokenizer.decode(around) == "ist"


def test_tokens_of_a_text_know_where_they_are() -> None:
    text = "Das Wetter"
    tokens = PIECES.encode(text)

    assert [text[start:end].strip() for start, end in tokens.offsets] == ["Das", "Wetter"]
    assert len(PIECES.encode("")) == 0
