"""Tokenizers as the families of models have them, trained in a moment on a few lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from streamproc.serving.chunking.tokens import TextTokenizer

UNKNOWN = "<unk>"
LINES = (
    "The quick brown fox jumps over the lazy dog, and requests travel through topics.",
    "Die Anfragen gehen durch Themen; Größe und Maß zählen. Привет, мир! Как дела?",
    "东京是日本的首都人口很多。我爱北京天安门。再见！ สวัสดีครับ 🙂🎉👍🏽",
    "the then this that requests responses request response  two  spaces\tand tabs\n",
) * 4

Metaspace = pre_tokenizers.Metaspace
LLAMA_DECODER = [
    decoders.Replace("▁", " "),
    decoders.ByteFallback(),
    decoders.Fuse(),
    decoders.Strip(" ", 1, 0),
]


def unigram(pre_tokenizer: Any, normalizer: Any = None) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    _fit(tokenizer, pre_tokenizer, normalizer)
    tokenizer.train_from_iterator(
        LINES,
        trainers.UnigramTrainer(
            vocab_size=220, special_tokens=[UNKNOWN], unk_token=UNKNOWN, show_progress=False
        ),
    )
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def bpe(pre_tokenizer: Any, normalizer: Any = None, decoder: Any = None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    _fit(tokenizer, pre_tokenizer, normalizer)
    tokenizer.train_from_iterator(
        LINES,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=[UNKNOWN],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.decoder = decoder or decoders.Metaspace()
    return tokenizer


def byte_fallback(pre_tokenizer: Any, normalizer: Any = None) -> Tokenizer:
    """As Llama's, Mistral's and Gemma's: what has no token is bytes."""
    pieces = [UNKNOWN, *(f"<0x{byte:02X}>" for byte in range(256)), *"▁abdehlnorstw.,!"]
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("e", "s"), ("▁", "a")]
    pieces += ["".join(merge) for merge in merges]
    vocabulary = {piece: token for token, piece in enumerate(pieces)}
    model = models.BPE(vocabulary, merges, unk_token=UNKNOWN, byte_fallback=True, fuse_unk=True)
    tokenizer = Tokenizer(model)
    _fit(tokenizer, pre_tokenizer, normalizer)
    tokenizer.decoder = decoders.Sequence(LLAMA_DECODER)
    return tokenizer


def word_piece() -> Tokenizer:
    # Longer words are unknown as a whole; BERT's limit is 100.
    model = models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20)  # noqa: S106 - no password
    tokenizer = Tokenizer(model)
    _fit(tokenizer, pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer())
    tokenizer.train_from_iterator(
        LINES, trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]"])
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _fit(tokenizer: Tokenizer, pre_tokenizer: Any, normalizer: Any) -> None:
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer


PREPEND: Sequence[Any] = (normalizers.Prepend("▁"), normalizers.Replace(" ", "▁"))
FAMILIES: dict[str, Callable[[], Tokenizer]] = {
    "T5: unigram, metaspace always": lambda: unigram(Metaspace(prepend_scheme="always")),
    "XLM-R: unigram, whitespace split and metaspace": lambda: unigram(
        pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), Metaspace(prepend_scheme="always")]
        )
    ),
    "DeBERTa-v3: unigram, strip and collapse": lambda: unigram(
        Metaspace(prepend_scheme="always"),
        normalizers.Sequence(
            [
                normalizers.Strip(),
                normalizers.NFKC(),
                normalizers.Replace(Regex(" {2,}"), " "),
            ]
        ),
    ),
    "metaspace never": lambda: unigram(Metaspace(prepend_scheme="never")),
    "metaspace without split": lambda: unigram(Metaspace(prepend_scheme="first", split=False)),
    "Llama-2: byte fallback, prepend": lambda: byte_fallback(
        None, normalizers.Sequence(list(PREPEND))
    ),
    "Llama: byte fallback, metaspace first": lambda: byte_fallback(
        Metaspace(prepend_scheme="first", split=False)
    ),
    "Gemma: byte fallback, split at spaces": lambda: byte_fallback(
        pre_tokenizers.Split(" ", "merged_with_previous"), normalizers.Replace(" ", "▁")
    ),
    "GPT-2: byte-level": lambda: bpe(
        pre_tokenizers.ByteLevel(add_prefix_space=False), decoder=decoders.ByteLevel()
    ),
    "RoBERTa: byte-level with a space first": lambda: bpe(
        pre_tokenizers.ByteLevel(add_prefix_space=True), decoder=decoders.ByteLevel()
    ),
    "byte-level without a pattern": lambda: bpe(
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        decoder=decoders.ByteLevel(),
    ),
    "BERT: word pieces": word_piece,
}


@cache
def family(name: str) -> TextTokenizer:
    return TextTokenizer(FAMILIES[name]().to_str().encode())
