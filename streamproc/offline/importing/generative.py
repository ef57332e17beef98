"""A model that writes text, as optimum exports it with its cache; it is taken as it is."""

from __future__ import annotations

from streamproc.errors import ModelRefused, SettingsError
from streamproc.offline.importing.import_source import AdaptedModel, ImportSource
from streamproc.offline.importing.onnx_file import precision_of, producer_of, read_graph, serialised
from streamproc.repository.decoding_section import DecodingSection
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.tasks.decoding_task import DecodingTask


def prepare_generative(source: ImportSource, task: DecodingTask) -> AdaptedModel:
    """The model's files, and how it decodes; raises ModelRefused, SettingsError.

    Names and shapes of caches are checked where the ensemble is loaded.
    """
    files, options = source.files, source.options
    both = task.architecture == "encoder-decoder"
    if both != (files.decoder is not None) or files.model is None:
        wanted = (
            "an encoder and a merged decoder, as optimum exports text2text-generation-with-past"
            if both
            else "one file with a cache, as optimum exports text-generation-with-past"
        )
        raise ModelRefused(f"{files.path}: {task.name} takes {wanted}")
    model = read_graph(files.model)
    decoder = read_graph(files.decoder) if files.decoder else None
    decoding = decoding_of(source, task)
    return AdaptedModel(
        model=serialised(model, files.model),
        decoder=serialised(decoder, files.path) if decoder else None,
        producer=producer_of(model),
        precision=precision_of(model),
        window_tokens=options.window or decoding.max_tokens,
        overlap_tokens=options.overlap or 0,
        decoding=decoding,
        warnings=_other_settings(decoding, source.stored),
    )


def decoding_of(source: ImportSource, task: DecodingTask) -> DecodingSection:
    """How the model writes, and what whoever imports it says.

    Raises ModelRefused, SettingsError.
    """
    options, stored = source.options, source.stored
    encoder_decoder = task.architecture == "encoder-decoder"
    wanted = {
        "prefix": options.prefix,
        "source_language": options.source_language,
        "target_language": options.target_language,
    }
    wanted = {name: value for name, value in wanted.items() if value is not None}
    if wanted and (stored or not encoder_decoder):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in wanted)
        reason = "is there, and has its own" if stored else "reads no text anew"
        raise SettingsError(f"{flags}: {options.ensemble} {reason}")
    if stored and stored.manifest.decoding and not source.config.is_there:
        return stored.manifest.decoding
    found = source.config.decoding(
        encoder_decoder=encoder_decoder, task=options.task, kind=task.name
    )
    return found.model_copy(update=wanted)


def _other_settings(decoding: DecodingSection, stored: StoredEnsemble | None) -> tuple[str, ...]:
    """What is told of a member that would write otherwise alone than its ensemble does."""
    theirs = stored.manifest.decoding if stored else None
    if theirs is None:
        return ()
    ours, theirs_too = decoding.model_dump(), theirs.model_dump()
    other = [name for name, value in ours.items() if value != theirs_too[name]]
    named = ", ".join(other)
    told = f"the ensemble's {named} in [decoding] hold, which are other than this model's"
    return (told,) if other else ()
