from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.errors import MemberFailed, ModelRefused
from streamproc.repository.repository import Repository
from streamproc.serving.assembly import load_engine
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.tasks.catalogue import scoring_task_named
from streamproc.serving.verification.limited_calls import limited_calls
from streamproc.serving.verification.model_report import report_on_model
from streamproc.testing import build_context, build_tokenizer
from tests.support.hostile_models import with_endless_loop
from tests.support.onnx_models import write_ensemble

TASK = scoring_task_named("text-classification")
THREADS = 1


def test_a_graph_that_loops_without_end_is_refused_when_it_is_loaded(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    write_ensemble(tmp_path / "tiny", [with_endless_loop()])
    stored = Repository(tmp_path).open("tiny")

    with pytest.raises(ModelRefused, match=r"ensemble tiny: .* 0\.2 s; does its graph loop"):
        load_engine(stored, TASK, Provider(CPU), build_context(executor, call_timeout_s=0.05))


def test_a_graph_that_loops_without_end_is_refused_when_it_is_imported() -> None:
    with pytest.raises(ModelRefused, match=r"member m: .* 0\.1 s; does its graph loop"):
        report_on_model(
            "m",
            with_endless_loop(),
            TASK.signature(2),
            build_tokenizer(),
            window_tokens=16,
            padding_token=0,
            call_s=0.1,
        )


def test_a_failure_within_the_time_is_told_as_it_is() -> None:
    with pytest.raises(MemberFailed, match="not finite"), limited_calls("m"):
        raise MemberFailed("m", "its scores are not finite numbers")
