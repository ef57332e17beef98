"""Reading a model of sentencepiece (`*.spm`), whose format is protobuf, without its library.

The fields are those of sentencepiece_model.proto, as far as a unigram model needs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from streamproc.errors import ModelRefused

_Field = descriptor_pb2.FieldDescriptorProto
_UNIGRAM = 1
NORMAL, UNKNOWN = 1, 2


@dataclass(frozen=True, slots=True)
class SentencePieceModel:
    """A unigram model.

    pieces:   each with its score and its type, of which 1 is a normal piece
    charsmap: how characters are normalised, in sentencepiece's own form; b"" where they are not
    """

    pieces: tuple[tuple[str, float, int], ...]
    charsmap: bytes
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """The model in a file; raises ModelRefused."""
    model = _message_class()()
    try:
        model.ParseFromString(path.read_bytes())
    except OSError as error:
        raise ModelRefused(f"{path}: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001  # protobuf's own, which it does not export
        raise ModelRefused(f"{path}: not a model of sentencepiece: {error}") from None
    if not model.pieces:
        raise ModelRefused(f"{path}: not a model of sentencepiece: it has no pieces")
    if model.trainer_spec.model_type != _UNIGRAM:
        raise ModelRefused(f"{path}: a model of sentencepiece that is not unigram is not read")
    normaliser = model.normalizer_spec
    return SentencePieceModel(
        tuple((piece.piece, piece.score, piece.type) for piece in model.pieces),
        normaliser.precompiled_charsmap,
        normaliser.add_dummy_prefix,
        normaliser.remove_extra_whitespaces,
    )


def _message_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="sentencepiece_model.proto", package="sentencepiece", syntax="proto2"
    )
    piece = _message(file, "Piece")
    _field(piece, "piece", 1, _Field.TYPE_STRING)
    _field(piece, "score", 2, _Field.TYPE_FLOAT)
    _field(piece, "type", 3, _Field.TYPE_INT32, default="1")
    trainer = _message(file, "Trainer")
    _field(trainer, "model_type", 3, _Field.TYPE_INT32, default="1")
    normaliser = _message(file, "Normalizer")
    _field(normaliser, "precompiled_charsmap", 2, _Field.TYPE_BYTES)
    _field(normaliser, "add_dummy_prefix", 3, _Field.TYPE_BOOL, default="true")
    _field(normaliser, "remove_extra_whitespaces", 4, _Field.TYPE_BOOL, default="true")
    model = _message(file, "Model")
    _field(model, "pieces", 1, _Field.TYPE_MESSAGE, of="Piece", repeated=True)
    _field(model, "trainer_spec", 2, _Field.TYPE_MESSAGE, of="Trainer")
    _field(model, "normalizer_spec", 3, _Field.TYPE_MESSAGE, of="Normalizer")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sentencepiece.Model"))


def _message(file: Any, name: str) -> Any:
    return file.message_type.add(name=name)


def _field(
    message: Any,
    name: str,
    number: int,
    kind: int,
    *,
    default: str | None = None,
    of: str | None = None,
    repeated: bool = False,
) -> None:
    message.field.add(
        name=name,
        number=number,
        type=kind,
        label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
        default_value=default,
        type_name=f".sentencepiece.{of}" if of else None,
    )
