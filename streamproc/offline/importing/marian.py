"""The tokenizer of Marian's models (OPUS-MT), for which transformers has no file of its own.

A folder of theirs has `source.spm` and `target.spm`, which cut texts into pieces, and `vocab.json`,
which numbers the pieces of both. One tokenizer.json does the same: it cuts as `source.spm` does,
and reads what was written as `target.spm` does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import Unigram
from tokenizers.processors import TemplateProcessing

from streamproc.errors import ModelRefused

SOURCE, TARGET, VOCABULARY = "source.spm", "target.spm", "vocab.json"
_END, _UNKNOWN, _PADDING = "</s>", "<unk>", "<pad>"
_SPACE = "▁"
# Stands before pieces that only the target has, so that no text is cut into them. Unicode says that
# it is no character, and a text that has it all the same loses it.
_TARGET_ONLY = "\ufdd0"
# protobuf makes its classes as it is imported, so that mypy does not see them.
_MODEL_PROTO: Any = getattr(sentencepiece_model_pb2, "ModelProto")  # noqa: B009
# What sentencepiece takes from a character that it has no piece for.
_UNKNOWN_PENALTY = 10.0


def has_marian_tokenizer(folder: Path) -> bool:
    """Whether a folder has the files of Marian's tokenizer."""
    return all((folder / name).is_file() for name in (SOURCE, TARGET, VOCABULARY))


def marian_tokenizer(folder: Path) -> bytes:
    """The folder's tokenizer as a tokenizer.json; raises ModelRefused."""
    vocabulary = _vocabulary(folder)
    source = _read_unigram(folder / SOURCE)
    _read_unigram(folder / TARGET)
    normal = _MODEL_PROTO.SentencePiece.NORMAL
    scores = {piece.piece: piece.score for piece in source.pieces if piece.type == normal}
    lone = min(scores.values(), default=0.0) - _UNKNOWN_PENALTY
    special = [_END, _UNKNOWN, _PADDING, *(piece for piece in vocabulary if _is_code(piece))]
    pieces = []
    for piece in vocabulary:
        if piece in scores:
            pieces.append((piece, scores[piece]))
        elif len(piece) == 1 or piece in special:
            # sentencepiece hands a character without a piece on as it is, and its number is found.
            pieces.append((piece, lone))
        else:
            pieces.append((_TARGET_ONLY + piece, lone))
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(Unigram(pieces, unk_id=numbers[_UNKNOWN], byte_fallback=False))
    tokenizer.normalizer = _normaliser(source.normalizer_spec)
    scheme = "always" if source.normalizer_spec.add_dummy_prefix else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(_SPACE, prepend_scheme=scheme, split=False)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(_TARGET_ONLY, ""),
            decoders.Metaspace(_SPACE, prepend_scheme="always", split=False),
        ]
    )
    tokenizer.post_processor = TemplateProcessing(
        single=f"$A {_END}", pair=f"$A $B {_END}", special_tokens=[(_END, numbers[_END])]
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    written: str = tokenizer.to_str()
    return written.encode()


def _read_unigram(path: Path) -> Any:
    """A unigram model of sentencepiece; raises ModelRefused."""
    model = _MODEL_PROTO()
    try:
        model.ParseFromString(path.read_bytes())
    except OSError as error:
        raise ModelRefused(f"{path}: {error.strerror}") from None
    except DecodeError as error:
        raise ModelRefused(f"{path}: not a model of sentencepiece: {error}") from None
    if not model.pieces:
        raise ModelRefused(f"{path}: not a model of sentencepiece: it has no pieces")
    if model.trainer_spec.model_type != model.trainer_spec.UNIGRAM:
        raise ModelRefused(f"{path}: a model of sentencepiece that is not unigram is not read")
    return model


def _normaliser(rules: Any) -> normalizers.Normalizer:
    steps: list[normalizers.Normalizer] = [normalizers.Replace(_TARGET_ONLY, "")]
    if rules.precompiled_charsmap:
        steps.append(normalizers.Precompiled(rules.precompiled_charsmap))
    if rules.remove_extra_whitespaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    return normalizers.Sequence(steps)


def _vocabulary(folder: Path) -> list[str]:
    """The pieces in the order of their numbers."""
    where = folder / VOCABULARY
    if (folder / "target_vocab.json").is_file():
        raise ModelRefused(
            f"{folder} has a vocabulary for each language ({VOCABULARY}, target_vocab.json), and "
            "members share one: take a model whose languages share theirs"
        )
    try:
        found = json.loads(where.read_text(encoding="utf-8"))
        ordered = sorted(found.keys(), key=found.__getitem__)
        numbers = [found[piece] for piece in ordered]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ModelRefused(f"{where}: not a vocabulary: {error}") from None
    if numbers != list(range(len(numbers))):
        raise ModelRefused(f"{where}: expected a number for each piece, from 0 on, each once")
    if lacking := [token for token in (_END, _UNKNOWN, _PADDING) if token not in found]:
        raise ModelRefused(f"{where}: lacks {', '.join(lacking)}")
    return ordered


def _is_code(piece: str) -> bool:
    """Whether it names the language to translate into, as >>fra<<."""
    return piece.startswith(">>") and piece.endswith("<<")
