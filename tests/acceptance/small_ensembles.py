"""An ensemble of small graphs made by hand for every task but one, under the topics' names."""

from __future__ import annotations

from pathlib import Path

from streamproc.testing import build_tokenizer
from streamproc.testing_decoding import build_byte_tokenizer, byte_tokenizer_json
from tests.unit.causal_graphs import causal
from tests.unit.onnx_answerers import answerer
from tests.unit.onnx_models import classifier, write_ensemble
from tests.unit.seq2seq_graphs import decoder, encoder

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def write_small_ensembles(root: Path) -> None:
    """Entities, answers, translations, continuations: two members each, what they say means
    nothing. Text classification has its shipped ensemble."""
    words = build_tokenizer().vocabulary_size
    write_ensemble(
        root / "entities",
        [classifier(words, len(TAGS), per_token=True, seed=seed) for seed in (1, 2)],
        labels=TAGS,
        task="token-classification",
    )
    write_ensemble(
        root / "question-answering",
        [answerer(words, seed=seed) for seed in (1, 2)],
        labels=(),
        task="question-answering",
        window=(128, 8),
    )
    letters = build_byte_tokenizer().vocabulary_size
    end = letters - 1
    write_ensemble(
        root / "generation",
        [causal(letters, seed=seed) for seed in (1, 3)],
        labels=(),
        task="text-generation",
        tokenizer=byte_tokenizer_json(),
        window=(64, 0),
        sections=f"[decoding]\nend_tokens = [{end}]\nmax_tokens = 256\nmax_new_tokens = 24",
    )
    write_ensemble(
        root / "translation-en-de",
        [encoder(letters)] * 2,
        labels=(),
        task="translation",
        tokenizer=byte_tokenizer_json(),
        window=(128, 0),
        sections=(
            f"[decoding]\nstart_token = {end}\nend_tokens = [{end}]\nmax_tokens = 64\n"
            "max_new_tokens = 24\nbeams = 2"
        ),
        decoders=[decoder(letters, seed=seed) for seed in (1, 3)],
    )
