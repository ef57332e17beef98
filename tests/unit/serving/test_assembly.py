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
from streamproc.serving.inference.session import new_call
from streamproc.serving.loading import load_sessions, load_spec
from streamproc.serving.tasks.catalogue import scoring_task_named
from streamproc.serving.verification.batch_invariance import check_members
from streamproc.testing import MemoryBroker, build_context, build_pipeline, build_record
from tests.support.onnx_models import classifier, write_ensemble

THREADS = 1

TASK = scoring_task_named("text-classification")


def load(root: Path, executor: ModelExecutor) -> Engine:
    return load_engine(
        Repository(root).open("tiny"),
        TASK,
        Provider(CPU),
        build_context(executor),
    )


async def test_an_ensemble_on_disk_answers_with_all_its_members(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    write_ensemble(tmp_path / "tiny", [classifier(seed=1), classifier(seed=2)])
    broker = MemoryBroker()

    await build_pipeline(broker, load(tmp_path, executor))(
        build_record({"id": "r", "text": "the good film, " * 20})
    )

    (response,) = broker.values("responses")
    assert response["status"] == "ok"
    assert [member["name"] for member in response["members"]] == ["m0", "m1"]
    assert response["coverage"]["chunks"] > 1
    assert response["manifest"] == Repository(tmp_path).open("tiny").digest


async def test_a_model_whose_vocabulary_is_smaller_than_the_tokenizers_is_refused(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    write_ensemble(tmp_path / "tiny", [classifier(), classifier(vocabulary=50)])

    with pytest.raises(ModelRefused, match=r"member m1 fails .* 16 tokens with ids up to \d+"):
        load(tmp_path, executor)


async def test_a_model_whose_scores_depend_on_the_batch_is_refused(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    write_ensemble(tmp_path / "tiny", [classifier(batch_dependent=True)])

    with pytest.raises(ModelRefused, match="m0 gives the same text other scores in another batch"):
        load(tmp_path, executor)


async def test_scores_may_depend_on_the_batch_on_a_device_where_they_always_do(
    tmp_path: Path,
) -> None:
    write_ensemble(tmp_path / "tiny", [classifier(batch_dependent=True)])
    stored = Repository(tmp_path).open("tiny")
    spec = load_spec(stored, TASK)
    members = load_sessions(stored, TASK, Provider(CPU))

    with pytest.raises(ModelRefused):
        check_members(members, TASK, spec, new_call, invariant=True)
    check_members(members, TASK, spec, new_call, invariant=False)


async def test_a_member_with_another_number_of_outputs_than_labels_is_refused(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    write_ensemble(tmp_path / "tiny", [classifier(labels=3)])

    with pytest.raises(ModelRefused, match="one for each label of the manifest"):
        load(tmp_path, executor)


@pytest.mark.parametrize(
    "member_labels", [["negative", "neutral"], ["positive", "positive"], ["", "positive"]]
)
async def test_member_labels_that_are_not_the_ensembles_are_refused(
    tmp_path: Path, executor: ModelExecutor, member_labels: Sequence[str]
) -> None:
    write_ensemble(tmp_path / "tiny", [classifier()], member_labels=member_labels)

    with pytest.raises(ModelRefused, match=r"member m0: .*label"):
        load(tmp_path, executor)


async def test_an_ensemble_for_another_task_is_refused(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    write_ensemble(tmp_path / "tiny", [classifier()], task="translation")

    with pytest.raises(ModelRefused, match="tiny is for translation, not text-classification"):
        load(tmp_path, executor)


@pytest.mark.parametrize("content", [b"", b"{}", b"not JSON", b"\xff"])
async def test_a_tokenizer_that_is_none_is_refused(
    tmp_path: Path, executor: ModelExecutor, content: bytes
) -> None:
    write_ensemble(tmp_path / "tiny", [classifier()], tokenizer=content)

    with pytest.raises(ModelRefused, match=r"not a tokenizer\.json"):
        load(tmp_path, executor)


def test_a_model_with_one_answer_a_text_is_refused_where_each_token_needs_one(
    tmp_path: Path,
) -> None:
    task = scoring_task_named("token-classification")
    write_ensemble(tmp_path / "tiny", [classifier()], task=task.name)

    with pytest.raises(ModelRefused, match=r"member m0: .* must be floats with 3 dimensions"):
        load_sessions(Repository(tmp_path).open("tiny"), task, Provider(CPU))
