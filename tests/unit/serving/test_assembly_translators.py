from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from streamproc.errors import ModelRefused
from streamproc.repository.repository import Repository
from streamproc.serving.assembly import load_engine
from streamproc.serving.engine import Engine
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.tasks.catalogue import task_named
from streamproc.testing import build_context
from tests.support.onnx_models import write_ensemble
from tests.support.seq2seq_graphs import decoder, encoder
from tests.support.translators import END, PAD, TOKENIZER, byte_tokenizer_json, translated

THREADS = 1

VOCABULARY = TOKENIZER.vocabulary_size
DECODING = f"""
start_token = {PAD}
end_tokens = [{END}]
banned_tokens = [{PAD}]
max_tokens = 16
"""


def write(
    folder: Path,
    decoders: Sequence[bytes],
    *,
    decoding: str = DECODING,
    encoder_graph: bytes = b"",
    with_decoder: bool = True,
) -> None:
    """An ensemble with a manifest that fits its files."""
    write_ensemble(
        folder,
        [encoder_graph or encoder(VOCABULARY)] * len(decoders),
        labels=(),
        task="translation",
        tokenizer=byte_tokenizer_json(),
        window=(32, 0),
        sections=f"[decoding]{decoding}",
        decoders=decoders if with_decoder else None,
    )


def load(root: Path, executor: ModelExecutor) -> Engine:
    return load_engine(
        Repository(root).open("tiny"),
        task_named("translation"),
        Provider(CPU),
        build_context(executor),
    )


async def test_an_ensemble_on_disk_translates_with_all_its_members(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    write(tmp_path / "tiny", [decoder(VOCABULARY, seed=1), decoder(VOCABULARY, seed=3)])
    engine = load(tmp_path, executor)

    answer = await translated(engine, "One.\n\nTwo, of more words.", num_beams=2)
    again = await translated(engine, "One.\n\nTwo, of more words.", num_beams=2)

    assert answer == again
    assert answer.coverage.chunks == 2
    assert [member.name for member in answer.members] == ["m0", "m1"]
    assert answer.agreement is not None
    assert 0 < answer.agreement <= 1


@pytest.mark.parametrize(
    ("decoders", "decoding", "said"),
    [
        ([decoder(100)], DECODING, "m0 fails|m0 scores 100 tokens"),
        ([decoder(VOCABULARY), decoder(VOCABULARY + 8)], DECODING, "must share a vocabulary"),
        (
            [decoder(VOCABULARY, batch_dependent=True)],
            DECODING,
            "m0 gives a sequence other scores when another is decoded beside it",
        ),
        ([decoder(VOCABULARY)], DECODING.replace("start_token = 1", ""), "decoding.start_token"),
        ([decoder(VOCABULARY)], DECODING.replace("[0]", "[0, 900]"), "names the tokens 900"),
        ([decoder(VOCABULARY)], f"{DECODING}forced_end_token = 777\n", "names the tokens 777"),
        (
            [decoder(VOCABULARY, positions=15)],
            DECODING,
            "m0 fails on the last of 16 tokens; is decoding.max_tokens more",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, executor: ModelExecutor, decoders: list[bytes], decoding: str, said: str
) -> None:
    write(tmp_path / "tiny", decoders, decoding=decoding)

    with pytest.raises(ModelRefused, match=said):
        load(tmp_path, executor)


def test_a_padded_vocabulary_is_none_that_does_not_fit(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    write(tmp_path / "tiny", [decoder(VOCABULARY + 6, positions=16)])

    load(tmp_path, executor)


def test_a_member_without_a_decoder_is_refused(tmp_path: Path, executor: ModelExecutor) -> None:
    write(tmp_path / "tiny", [decoder(VOCABULARY)], with_decoder=False)

    with pytest.raises(ModelRefused, match="member m0: the manifest names no decoder"):
        load(tmp_path, executor)


def test_a_decoder_that_is_not_the_file_the_manifest_names_is_refused(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    write(tmp_path / "tiny", [decoder(VOCABULARY)])
    (tmp_path / "tiny" / "m0-decoder.onnx").write_bytes(decoder(VOCABULARY, seed=9))

    with pytest.raises(ModelRefused, match="is not the file the manifest names"):
        load(tmp_path, executor)
