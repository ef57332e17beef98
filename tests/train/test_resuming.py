from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

pytest.importorskip("optimum")

from streamproc.offline.training.log import read_log
from tests.support import resumption
from tests.support.resumption import command, digests, finish, kill, start

pytestmark = [pytest.mark.train, pytest.mark.nightly]

PARTS = ("part-1-of-2", "part-2-of-2")


@pytest.fixture(scope="module")
def uninterrupted(corpus: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run has left that nobody killed: a seed model, and two members that branch off."""
    out = tmp_path_factory.mktemp("uninterrupted")
    finish(command(corpus, base, out, "--seed-model-epochs=4", "--jobs=2"))
    return out


def steps(run: Path) -> int:
    """How many steps were told of so far."""
    return sum(len(resumption.told(run, part, "step")) for part in ("_seed_model", *PARTS))


def test_training_that_is_killed_again_and_again_ends_as_if_nothing_had_been(
    corpus: Path, base: Path, tmp_path: Path, uninterrupted: Path
) -> None:
    run, draw = tmp_path / "work" / "tiny", random.Random(11)
    arguments = command(corpus, base, tmp_path, "--seed-model-epochs=4", "--jobs=1")
    for _ in range(3):
        running, before = start(arguments), steps(run)
        # Some steps on, wherever that is: within an epoch, while a checkpoint is written, later.
        enough = before + draw.randint(4, 30)
        while steps(run) < enough and running.poll() is None:
            time.sleep(0.01)
        time.sleep(draw.random() / 5)
        kill(running)

    finish(arguments)

    assert digests(tmp_path / "models") == digests(uninterrupted / "models")
    for part in ("_seed_model", *PARTS):
        (one,) = resumption.told(run, part, "finished")
        (other,) = resumption.told(uninterrupted / "work" / "tiny", part, "finished")
        assert one["best"] == other["best"]
        # Nothing is trained beyond its end, and little twice: what was done since a checkpoint.
        lines = list(read_log(run / part))
        assert lines[-1]["kind"] == "finished"
        for place, line in enumerate(lines):
            done = max((one.get("step", 0) for one in lines[:place]), default=0)
            assert line["kind"] != "started" or done - line["step"] <= 8
    assert len(resumption.told(run, "_seed_model", "started")) > 1


def test_what_is_trained_is_not_trained_again_and_is_exported_alike(
    corpus: Path, base: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    run = uninterrupted / "work" / "tiny"
    before = steps(run)
    again = command(corpus, base, uninterrupted, "--seed-model-epochs=4", "--jobs=2")

    said = finish([*again, f"--out={tmp_path / 'models'}"])

    assert steps(run) == before
    assert "part-1-of-2: trained before" in said
    assert digests(tmp_path / "models") == digests(uninterrupted / "models")


def test_several_processes_train_one_member_together(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    more = ("--no-export", "--epochs=12", "--batch=8")
    arguments = command(corpus, base, tmp_path, *more)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]

    said = finish([arguments[0], *torchrun, *arguments[1:]])

    run = tmp_path / "work" / "tiny"
    parts = json.loads((run / "_shared" / "about.json").read_text())["parts"]
    for part in PARTS:
        (finished,) = resumption.told(run, part, "finished")
        assert finished["best"]["validation"]["metrics"]["accuracy"] > 0.9  # type: ignore[index]
        # Each has half of the batches.
        (steps_in_all,) = {one["steps"] for one in resumption.told(run, part, "step")}
        assert steps_in_all < 12 * parts[part] / 8 * 0.6
    assert said.count("part-1-of-2 (1 of 2)") == 1
