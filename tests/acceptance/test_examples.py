"""The programs of `examples/`, as someone runs them who has just cloned the repository."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from streamproc.testing import tokenizer_json
from tests.support.command import ROOT, environment
from tests.support.onnx_models import classifier
from tests.support.ways_in import WaysIn

EXAMPLES = ROOT / "examples"


def run(
    program: str, *arguments: str | Path, folder: Path, settings: Mapping[str, str] | None = None
) -> str:
    """What an example prints."""
    command = [sys.executable, EXAMPLES / program, *arguments]
    if program.startswith("test_"):
        command[1:1] = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(settings or {}) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.kafka
def test_requests_are_asked_over_kafka(at_kafka: dict[str, str], tmp_path: Path) -> None:
    lines = run("ask_over_kafka.py", folder=tmp_path, settings=at_kafka).splitlines()

    assert sorted(line[:2] for line in lines) == ["0:", "1:", "2:"]
    assert all("negative" in line or "positive" in line for line in lines)


@pytest.mark.kafka
@pytest.mark.parametrize("over", ["Kafka", "HTTP"])
def test_a_text_is_read_while_it_is_written(ways_in: WaysIn, tmp_path: Path, over: str) -> None:
    address = [ways_in.address] if over == "HTTP" else []
    settings = {"KAFKA_BOOTSTRAP_SERVERS": ways_in.kafka}

    said = run("stream_a_text.py", *address, folder=tmp_path, settings=settings)

    assert re.fullmatch(r"(?s).+\n\[(stop|length)\]\n(\w+ [01]\.\d+\n){2}invalid: text: .+\n", said)


def test_requests_are_asked_without_kafka(tmp_path: Path) -> None:
    first, second = run("ask_without_kafka.py", folder=tmp_path).splitlines()

    assert first.startswith("When was the bridge opened? '")
    assert second.startswith("How long is the arch? '")


def test_a_model_of_ones_own_is_served(tmp_path: Path) -> None:
    (tmp_path / "tone.onnx").write_bytes(classifier())
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json())

    said = run(
        *("serve_your_own_model.py", "tone.onnx", "tokenizer.json", "calm", "angry"),
        folder=tmp_path,
    )

    assert "'calm':" in said.splitlines()[-1]
    assert (tmp_path / "my-models/tone/manifest.toml").is_file()


def test_code_of_ones_own_is_tested(tmp_path: Path) -> None:
    assert "2 passed" in run("test_your_own_code.py", folder=tmp_path)


def test_a_transformers_call_answers_in_a_line(tmp_path: Path) -> None:
    first, second = run("ask_like_transformers.py", folder=tmp_path).splitlines()

    assert first.startswith("When was the bridge opened? ")
    assert second.startswith("agreement of the models: ")


@pytest.mark.nightly
@pytest.mark.slow
def test_a_data_set_is_answered_on_a_ray_cluster(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    lines = run("score_with_ray.py", folder=tmp_path).splitlines()

    assert lines[-3:-1] == ["negative: 50", "positive: 100"]
    assert lines[-1].startswith("not answered: 50 (invalid request: text")


def test_a_data_set_of_hugging_face_is_answered(tmp_path: Path) -> None:
    first, second, third = run("score_with_datasets.py", folder=tmp_path).splitlines()

    assert first.startswith("When was the bridge opened? 1932")
    assert second.startswith("How long is the arch? 503")
    assert "question: String should have at least 1 character" in third


def test_every_example_is_run_here_and_short() -> None:
    programs = {path.name: path.read_text("utf-8") for path in EXAMPLES.glob("*.py")}
    listed = (EXAMPLES / "README.md").read_text("utf-8")

    assert all(name in Path(__file__).read_text("utf-8") and name in listed for name in programs)
    assert all(len(text.splitlines()) < 60 for text in programs.values())
