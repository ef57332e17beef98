"""The function itself, `streamproc.pipeline`."""

from __future__ import annotations

from typing import Any, Final, Literal, overload

from streamproc.errors import SettingsError
from streamproc.local.blocking_client import BlockingClient
from streamproc.local.open_ensemble import Ensemble, open_ensemble
from streamproc.local.pipelines.catalogue import pipeline_named
from streamproc.local.pipelines.keywords import Only
from streamproc.local.pipelines.question_answering import QuestionAnsweringPipeline
from streamproc.local.pipelines.summarization import SummarizationPipeline
from streamproc.local.pipelines.task_pipeline import TaskPipeline
from streamproc.local.pipelines.text_classification import TextClassificationPipeline
from streamproc.local.pipelines.text_generation import TextGenerationPipeline
from streamproc.local.pipelines.token_classification import TokenClassificationPipeline
from streamproc.local.pipelines.translation import TranslationPipeline
from streamproc.settings import Settings, read_settings

_OWN_FILES = "an ensemble brings its own; `streamproc models import` makes one of a model"
_OWN_RUNTIME = "ONNX Runtime runs the models, as `device` says"
_OWN_PRECISION = "models run in the precision they were exported in (streamproc export)"

# Keywords of transformers' function that are about how a model comes about.
LOADING: Final = {
    "config": Only((None,), _OWN_FILES),
    "tokenizer": Only((None,), _OWN_FILES),
    "feature_extractor": Only((None,), _OWN_FILES),
    "image_processor": Only((None,), _OWN_FILES),
    "processor": Only((None,), _OWN_FILES),
    "revision": Only((None, "main"), "an ensemble is a folder; streamproc models list shows it"),
    "token": Only((None, False), "nothing is fetched from a hub"),
    "trust_remote_code": Only((None, False), "no model brings code"),
    "model_kwargs": Only((None, {}), _OWN_FILES),
    "pipeline_class": Only((None,), "a task has one pipeline"),
    "use_fast": Only((True, None), "tokenizers are the fast ones"),
    "framework": Only((None, "pt"), _OWN_RUNTIME),
    "device_map": Only((None, "auto"), _OWN_RUNTIME + "; models too large for it are split"),
    "dtype": Only((None, "auto", "float32"), _OWN_PRECISION),
    "torch_dtype": Only((None, "auto", "float32"), _OWN_PRECISION),
}


@overload
def pipeline(
    task: Literal["text-classification", "sentiment-analysis"],
    model: Ensemble | None = ...,
    **options: Any,
) -> TextClassificationPipeline: ...
@overload
def pipeline(
    task: Literal["token-classification", "ner"], model: Ensemble | None = ..., **options: Any
) -> TokenClassificationPipeline: ...
@overload
def pipeline(
    task: Literal["question-answering"], model: Ensemble | None = ..., **options: Any
) -> QuestionAnsweringPipeline: ...
@overload
def pipeline(
    task: Literal["translation"], model: Ensemble | None = ..., **options: Any
) -> TranslationPipeline: ...
@overload
def pipeline(
    task: Literal["summarization"], model: Ensemble | None = ..., **options: Any
) -> SummarizationPipeline: ...
@overload
def pipeline(
    task: Literal["text-generation"], model: Ensemble | None = ..., **options: Any
) -> TextGenerationPipeline: ...
@overload
def pipeline(
    task: str | None = ..., model: Ensemble | None = ..., **options: Any
) -> TaskPipeline: ...
def pipeline(
    task: str | None = None,
    model: Ensemble | None = None,
    *,
    settings: Settings | None = None,
    device: Any = None,
    **options: Any,
) -> TaskPipeline:
    """A pipeline as that of transformers 4.57.6, over an ensemble; its models are loaded once.

    task: `question-answering` and the like, `sentiment-analysis`, `ner`, `translation_en_to_de`;
        None: the one that the ensemble is for
    model: the name of an ensemble in the folder of models, or an ensemble's own folder; None: the
        ensemble that the task's topics name
    settings: default: those of STREAMPROC_*
    device: as there: -1 or "cpu", 0 or "cuda:0"; default: as the settings say
    options: defaults for every call
    Raises OperatorError naming what is wrong, and SettingsError where a keyword is refused.
    """
    if task is None and model is None:
        raise SettingsError(
            'pipeline() needs a task, such as "question-answering", or model=, an ensemble'
        )
    kind = None if task is None else pipeline_named(task)
    for name in LOADING.keys() & options.keys():
        LOADING[name].require(name, options.pop(name))
    settings = settings or read_settings()
    if device is not None:
        settings = settings.model_copy(update={"device": _device(device)})
    stored = open_ensemble(settings, None if kind is None else kind.task, model)
    kind = kind or pipeline_named(stored.manifest.task)
    client = BlockingClient(settings, stored)
    try:
        return kind(client, stored.manifest, options)
    except BaseException:
        client.close()
        raise


def _device(device: Any) -> str:
    """The setting that a device of transformers comes to; raises SettingsError."""
    name = str(device)
    if isinstance(device, int):
        name = "cpu" if device < 0 else f"cuda:{device}"
    return read_settings(device=name).device
