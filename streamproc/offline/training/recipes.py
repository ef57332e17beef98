"""How each task is set up from the options of a training run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streamproc.offline.corpus.names import names_from
from streamproc.offline.corpus.records import Columns
from streamproc.offline.corpus.rows import source_from
from streamproc.offline.training.base import FindBase, find_base
from streamproc.offline.training.config import TrainConfig
from streamproc.offline.training.encoder_trainer import Learning
from streamproc.offline.training.pruning import PruneConfig
from streamproc.offline.training.question_answering import QuestionAnswering
from streamproc.offline.training.text_classification import TextClassification
from streamproc.offline.training.text_generation import TextGeneration
from streamproc.offline.training.token_classification import TokenClassification
from streamproc.offline.training.training_task import TrainingTask
from streamproc.offline.training.translation import Translation
from streamproc.serving.chunking.windows import Window

# Longer windows are for scoring; encoders learn from these.
_LEARNED_TOKENS = 128


def training_task(config: TrainConfig, find: FindBase = find_base) -> TrainingTask[Any]:
    """The task that members learn, as the options have it; raises TrainingError."""
    return _TASKS[config.task](config, find)


def _text_classification(config: TrainConfig, find: FindBase) -> TrainingTask[Any]:
    return TextClassification(
        **_encoder(config, find),
        names=names_from(config.label, least=2),
        columns=Columns(config.text_field, config.label_field),
    )


def _token_classification(config: TrainConfig, find: FindBase) -> TrainingTask[Any]:
    return TokenClassification(**_encoder(config, find), names=names_from(config.label, least=1))


def _question_answering(config: TrainConfig, find: FindBase) -> TrainingTask[Any]:
    return QuestionAnswering(
        **_encoder(config, find, 1), unanswerable_share=config.unanswerable_share
    )


def _text_generation(config: TrainConfig, _: FindBase) -> TrainingTask[Any]:
    return TextGeneration(**_from_scratch(config), text_field=config.text_field)


def _translation(config: TrainConfig, _: FindBase) -> TrainingTask[Any]:
    return Translation(**_from_scratch(config))


def _encoder(config: TrainConfig, find: FindBase, *learning: int) -> dict[str, Any]:
    return {
        "start": find(config.base),
        "vocabulary_size": config.vocabulary,
        "shape": PruneConfig(config.layer_numbers, config.ffn_width, config.heads, config.window),
        "learning": Learning(min(config.window, _LEARNED_TOKENS), *learning),
        "window": Window(config.window, config.overlap),
        "frozen": config.freeze_layers,
        "shared": [source_from(written) for written in config.prefix_corpus],
        "prefix_of": config.prefix_of,
    }


def _from_scratch(config: TrainConfig) -> dict[str, Any]:
    return {
        "vocabulary_size": config.vocabulary,
        "layers": config.layer_numbers[0],
        "heads": config.heads_from_scratch,
        "width": config.width,
        "ffn_width": config.ffn_width,
        "context": config.window,
    }


_TASKS: Mapping[str, Callable[[TrainConfig, FindBase], TrainingTask[Any]]] = {
    "text-classification": _text_classification,
    "token-classification": _token_classification,
    "question-answering": _question_answering,
    "translation": _translation,
    "text-generation": _text_generation,
}
