"""A model that writes text, as optimum exports it with its cache; it is taken as it is."""

from __future__ import annotations

from streamproc.errors import ModelRefused, SettingsError
from streamproc.offline.importing.configuration import Configuration
from streamproc.offline.importing.graph import precision_of, producer_of, read_graph, serialised
from streamproc.offline.importing.import_options import ImportOptions
from streamproc.offline.importing.import_source import AdaptedModel, ImportSource
from streamproc.repository.decoding_section import DecodingSection
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.tasks.decoding_task import DecodingTask


def prepare_writing(subject: ImportSource, task: DecodingTask) -> AdaptedModel:
    """The model's files, and how it decodes; raises ModelRefused, SettingsError.

    Names and shapes of caches are checked where the ensemble is loaded.
    """
    source, wishes = subject.source, subject.wishes
    both = task.architecture == "encoder-decoder"
    if both != (source.decoder is not None) or source.model is None:
        wanted = (
            "an encoder and a merged decoder, as optimum exports text2text-generation-with-past"
            if both
            else "one file with a cache, as optimum exports text-generation-with-past"
        )
        raise ModelRefused(f"{source.path}: {task.name} takes {wanted}")
    model = read_graph(source.model)
    decoder = read_graph(source.decoder) if source.decoder else None
    decoding = decoding_of(wishes, subject.configuration, subject.stored, encoder_decoder=both)
    return AdaptedModel(
        model=serialised(model, source.model),
        decoder=serialised(decoder, source.path) if decoder else None,
        producer=producer_of(model),
        precision=precision_of(model),
        window_tokens=wishes.window or decoding.max_tokens,
        overlap_tokens=wishes.overlap or 0,
        decoding=decoding,
        warnings=_other_settings(decoding, subject.stored),
    )


def decoding_of(
    wishes: ImportOptions,
    configuration: Configuration,
    stored: StoredEnsemble | None,
    *,
    encoder_decoder: bool,
) -> DecodingSection:
    """How the model writes, and what whoever imports it wishes.

    Raises ModelRefused, SettingsError.
    """
    if stored and stored.manifest.decoding and not configuration.is_there:
        return stored.manifest.decoding
    found = configuration.decoding(encoder_decoder=encoder_decoder, task=wishes.task)
    wanted = {
        "prefix": wishes.prefix,
        "source_language": wishes.source_language,
        "target_language": wishes.target_language,
    }
    wanted = {name: value for name, value in wanted.items() if value is not None}
    if wanted and (stored or not encoder_decoder):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in wanted)
        reason = "is there, and has its own" if stored else "does not translate"
        raise SettingsError(f"{flags}: {wishes.ensemble} {reason}")
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
