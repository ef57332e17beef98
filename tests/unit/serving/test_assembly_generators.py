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
from streamproc.testing.generative import build_byte_tokenizer, byte_tokenizer_json
from tests.support.asking import answered
from tests.support.causal_graphs import causal
from tests.support.onnx_models import write_ensemble

THREADS = 1

VOCABULARY = build_byte_tokenizer().vocabulary_size
DECODING = f"""[decoding]
end_tokens = [{VOCABULARY - 1}]
max_tokens = 64
max_new_tokens = 16
"""


def write(folder: Path, graphs: Sequence[bytes], sections: str) -> None:
    """An ensemble with a manifest that fits its files."""
    write_ensemble(
        folder,
        graphs,
        labels=(),
        task="text-generation",
        tokenizer=byte_tokenizer_json(),
        window=(64, 0),
        sections=sections,
    )


def load(root: Path, executor: ModelExecutor) -> Engine:
    return load_engine(
        Repository(root).open("tiny"),
        task_named("text-generation"),
        Provider(CPU),
        build_context(executor),
    )


async def test_an_ensemble_on_disk_writes_with_all_its_members(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    write(tmp_path / "tiny", [causal(VOCABULARY, seed=1), causal(VOCABULARY, seed=3)], DECODING)
    engine = load(tmp_path, executor)

    answer = await answered(engine, "One", return_members=True)

    assert answer == await answered(engine, "One", return_members=True)
    assert [member.name for member in answer.members] == ["m0", "m1"]
    assert all(member.result for member in answer.members)
    assert answer.agreement is not None
    assert 0 < answer.agreement <= 1


@pytest.mark.parametrize(
    ("graphs", "sections", "said"),
    [
        ([causal(100)], DECODING, "m0 fails on 62 tokens with ids up to 256"),
        ([causal(VOCABULARY), causal(VOCABULARY + 8)], DECODING, "must share a vocabulary"),
        (
            [causal(VOCABULARY, batch_dependent=True)],
            DECODING,
            "m0 gives a sequence other scores when another is decoded beside it .*dynamic",
        ),
        ([causal(VOCABULARY, positions=63)], DECODING, "m0 fails on the last of 64 tokens"),
        ([causal(VOCABULARY, rename=("present", "now"))], DECODING, "m0: expected .*now.0.key"),
        ([causal(VOCABULARY)], DECODING.replace("[256]", "[257]"), "names the tokens 257"),
        ([causal(VOCABULARY)], f"{DECODING}start_token = 300", "names the tokens 300"),
        ([causal(VOCABULARY)], "", r"needs a section \[decoding\]"),
        (
            [causal(VOCABULARY)],
            f'{DECODING}[combine]\nstrategy = "vote"',
            "combine.strategy is vote; .* mean, logit_mean, weighted",
        ),
        ([causal(VOCABULARY)], f'{DECODING}[combine]\nstrategy = "mode"', "combine.strategy"),
    ],
)
async def test_an_ensemble_that_does_not_fit_is_refused(
    tmp_path: Path, executor: ModelExecutor, graphs: list[bytes], sections: str, said: str
) -> None:
    write(tmp_path / "tiny", graphs, sections)

    with pytest.raises(ModelRefused, match=said):
        load(tmp_path, executor)
