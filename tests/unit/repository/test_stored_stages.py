from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest

from streamproc.errors import ModelRefused
from streamproc.offline.splitting.ensemble_splitter import split_ensemble
from streamproc.repository.repository import Repository
from streamproc.repository.stages import StoredStage
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.loading import load_sessions
from streamproc.serving.tasks.catalogue import scoring_task_named
from tests.support.layered_graphs import Layered
from tests.support.onnx_models import write_ensemble


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """The folder of an ensemble of one member, in two stages."""
    write_ensemble(tmp_path / "whole", [Layered().model()])
    whole = Repository(tmp_path).open("whole")
    return split_ensemble(whole, 2, tmp_path, "staged", (), lambda cut: None)


def stages_of(folder: Path) -> tuple[StoredStage, ...]:
    stored = Repository(folder.parent).open(folder.name)
    return stored.stages(stored.manifest.members[0])


def test_a_stage_is_handed_out_as_its_graph_and_the_folder_of_its_weights(staged: Path) -> None:
    first, second = stages_of(staged)

    assert first.files() == ((staged / "m0/1/stage-1.onnx").read_bytes(), staged / "m0/1")
    assert second.files() == ((staged / "m0/1/stage-2.onnx").read_bytes(), staged / "m0/1")
    assert first.resident_bytes > 0


@pytest.mark.parametrize("file", ["stage-1.onnx", "stage-1.weights"])
def test_a_file_of_a_stage_that_was_changed_is_refused(staged: Path, file: str) -> None:
    path = staged / "m0/1" / file
    path.write_bytes(path.read_bytes() + b"\0")

    with pytest.raises(ModelRefused, match=f"{file} is not the file the manifest names"):
        stages_of(staged)[0].files()


def test_a_file_that_was_changed_after_it_was_seen_is_refused_the_next_time(staged: Path) -> None:
    stage = stages_of(staged)[0]
    stage.files()
    path = staged / "m0/1/stage-1.weights"
    changed = path.with_suffix(".new")
    changed.write_bytes(bytes(reversed(path.read_bytes())))
    changed.replace(path)

    with pytest.raises(ModelRefused, match="is not the file the manifest names"):
        stage.files()


def test_a_file_that_was_restored_is_taken_again(staged: Path) -> None:
    stage = stages_of(staged)[0]
    stage.files()
    path = staged / "m0/1/stage-1.weights"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(ModelRefused, match="No such file"):
        stage.files()
    path.write_bytes(content)

    assert stage.files()[1] == path.parent


def test_weights_that_are_a_link_out_of_the_folder_are_refused(
    staged: Path, tmp_path: Path
) -> None:
    path = staged / "m0/1/stage-1.weights"
    outside = tmp_path / "outside"
    path.rename(outside)
    path.symlink_to(outside)

    with pytest.raises(ModelRefused, match="leads out of its folder"):
        stages_of(staged)[0].files()


def test_weights_that_are_a_pipe_are_refused(staged: Path) -> None:
    path = staged / "m0/1/stage-1.weights"
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(ModelRefused, match="is not a file"):
        stages_of(staged)[0].files()


def test_a_member_in_stages_is_no_single_file(staged: Path) -> None:
    stored = Repository(staged.parent).open("staged")

    with pytest.raises(ModelRefused, match="member m0 is split into stages"):
        stored.model(stored.manifest.members[0])


def test_an_ensemble_that_can_not_be_served_whole_for_its_files_beside_is_served_in_stages(
    tmp_path: Path,
) -> None:
    graph = onnx.load_from_string(Layered().model())
    onnx.save(graph, str(tmp_path / "m.onnx"), save_as_external_data=True, location="m0.data")
    write_ensemble(tmp_path / "whole", [(tmp_path / "m.onnx").read_bytes()])
    (tmp_path / "m0.data").rename(tmp_path / "whole" / "m0.data")
    task = scoring_task_named("text-classification")
    whole = Repository(tmp_path).open("whole")

    with pytest.raises(ModelRefused):
        load_sessions(whole, task, Provider(CPU))
    split_ensemble(whole, 2, tmp_path, "staged", (), lambda cut: None)

    members = load_sessions(Repository(tmp_path).open("staged"), task, Provider(CPU))
    assert [session.name for session in members.sessions] == ["m0"]
