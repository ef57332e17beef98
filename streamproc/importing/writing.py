"""A model that writes text, as optimum exports it with its cache; it is taken as it is."""

from __future__ import annotations

from streamproc.errors import ModelRefused, SettingsError
from streamproc.importing.graph import precision_of, producer_of, read_graph, serialised
from streamproc.importing.subject import Prepared, Subject
from streamproc.tasks.decoding_task import DecodingTask


def prepare_writing(subject: Subject, task: DecodingTask) -> Prepared:
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
    if wishes.labels or wishes.inputs or wishes.outputs or wishes.scores or wishes.padded_to:
        raise SettingsError(
            f"--label, --input, --output, --scores and --padded-to mean nothing for {task.name}"
        )
    model = read_graph(source.model)
    decoder = read_graph(source.decoder) if source.decoder else None
    decoding = None if subject.stored else subject.configuration.decoding(encoder_decoder=both)
    return Prepared(
        model=serialised(model, source.model),
        decoder=serialised(decoder, source.path) if decoder else None,
        producer=producer_of(model),
        precision=precision_of(model),
        window_tokens=wishes.window or (decoding.max_tokens if decoding else 0),
        overlap_tokens=wishes.overlap or 0,
        decoding=decoding,
    )
