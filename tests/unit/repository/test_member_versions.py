"""Versions of a member lie side by side, and whatever ends in between, one of them is served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from streamproc.errors import ModelRefused
from streamproc.repository import changes, files
from streamproc.repository.changes import (
    remove_ensemble,
    remove_member,
    remove_version,
    use_version,
)
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.repository.versions import next_version, read_version, version_names
from streamproc.settings import read_settings
from streamproc.worker import verify_ensemble
from tests.support.foreign_models import VOCABULARY, bring, foreign
from tests.support.onnx_models import classifier, write_ensemble

TITLE = "# kept by hand\n"


def verify(root: Path, name: str) -> None:
    verify_ensemble(read_settings(models_dir=str(root), device="cpu", threads="1"), name)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A repository whose ensemble `tone` has two members, its manifest written by hand."""
    folder = tmp_path / "models"
    members = [classifier(VOCABULARY, 3, seed=seed) for seed in (1, 2)]
    manifest = write_ensemble(folder / "tone", members, labels=("a", "b", "c"))
    text = manifest.read_text("utf-8").replace('name = "m0"', 'name = "m0"\nweight = 2.5', 1)
    manifest.write_text(TITLE + text + "\n# the end\n", "utf-8")
    return folder


@pytest.fixture
def second(tmp_path: Path, models: Path) -> Path:
    """The same, where a second version of m0 took the first's place."""
    source = foreign(tmp_path / "new.onnx", ignored_id=0)
    bring(source, models, member="m0", version="2", labels=("c", "b", "a"))
    return models


def opened(models: Path) -> StoredEnsemble:
    return Repository(models).open("tone")


def versions(models: Path) -> dict[str, str]:
    return {member.name: member.version for member in opened(models).manifest.members}


def test_a_second_version_takes_the_firsts_place_and_lies_beside_it(second: Path) -> None:
    stored = opened(second)
    assert versions(second) == {"m0": "2", "m1": "1"}
    assert version_names(stored, "m0") == ["1", "2"]
    assert next_version(stored, "m0") == "3"
    first, _ = stored.manifest.members
    assert (first.weight, first.labels) == (2.5, ("c", "b", "a"))
    text = (second / "tone" / "manifest.toml").read_text("utf-8")
    assert text.startswith(TITLE)
    assert text.endswith("# the end\n")
    verify(second, "tone")


def test_a_version_in_waiting_changes_nothing_until_it_is_used(
    tmp_path: Path, models: Path
) -> None:
    before = (models / "tone" / "manifest.toml").read_bytes()
    source = foreign(tmp_path / "new.onnx", ignored_id=0)

    imported, _ = bring(source, models, member="m0", version="2", use=False)

    assert not imported.used
    assert any("fitted with m0 1" in warning for warning in imported.warnings)
    assert (models / "tone" / "manifest.toml").read_bytes() == before
    use_version(opened(models), "m0", "2", verify)
    assert versions(models) == {"m0": "2", "m1": "1"}


def test_a_version_that_was_left_is_as_it_was_once_it_is_used_again(second: Path) -> None:
    used = opened(second).manifest.members[0]

    assert use_version(opened(second), "m0", "1", verify) == used
    back = opened(second).manifest.members[0]
    assert (back.version, back.weight, back.labels) == ("1", 2.5, ("a", "b", "c"))

    use_version(opened(second), "m0", "2", verify)
    assert opened(second).manifest.members[0] == used


def test_a_version_that_would_not_load_is_not_used(second: Path) -> None:
    before = (second / "tone" / "manifest.toml").read_bytes()
    file = read_version(opened(second), "m0", "1").file
    assert file is not None
    (second / "tone" / file).write_bytes(b"rotten")

    with pytest.raises(ModelRefused, match="sha256"):
        use_version(opened(second), "m0", "1", verify)
    assert (second / "tone" / "manifest.toml").read_bytes() == before


def _import(tmp_path: Path, models: Path) -> None:
    source = foreign(tmp_path / "third.onnx", ignored_id=0)
    bring(source, models, member="m0", version="3")


def _use(_: Path, models: Path) -> None:
    use_version(opened(models), "m0", "1", verify)


def _remove(_: Path, models: Path) -> None:
    remove_member(opened(models), "m0", verify)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("change", [_import, _use, _remove])
@pytest.mark.parametrize("moment", ["before the manifest", "after the manifest"])
def test_whatever_ends_in_between_the_ensemble_can_be_used(
    tmp_path: Path,
    second: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path, Path], None],
    moment: str,
) -> None:
    write = files.atomic_write

    def killed(path: Path, content: str) -> None:
        if path.name != "manifest.toml":
            write(path, content)
            return
        if moment == "after the manifest":
            write(path, content)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(changes, "atomic_write", killed)
        with pytest.raises(Killed):
            change(tmp_path, second)

    verify(second, "tone")
    if change is _import:
        # Its files are there: what was cut off can be gone on with.
        assert version_names(opened(second), "m0") == ["1", "2", "3"]


def test_a_version_in_use_is_not_removed_and_another_is(second: Path) -> None:
    with pytest.raises(ModelRefused, match=r"uses m0/2.*models use tone m0"):
        remove_version(opened(second), "m0", "2")
    remove_version(opened(second), "m0", "1")
    assert version_names(opened(second), "m0") == ["2"]
    assert not (second / "tone" / "m0" / "1").exists()
    for version in ("1", "..", "../..", "nothing"):
        with pytest.raises(ModelRefused, match="has no version"):
            remove_version(opened(second), "m0", version)
    verify(second, "tone")


def test_a_member_is_removed_with_all_its_versions_unless_it_is_needed(second: Path) -> None:
    remove_member(opened(second), "m0", verify)
    assert versions(second) == {"m1": "1"}
    assert not (second / "tone" / "m0").exists()
    verify(second, "tone")
    with pytest.raises(ModelRefused, match="only member"):
        remove_member(opened(second), "m1", verify)
    with pytest.raises(ModelRefused, match="no member 'm0'"):
        remove_member(opened(second), "m0", verify)


def test_a_member_that_the_quorum_needs_is_not_removed(models: Path) -> None:
    manifest = models / "tone" / "manifest.toml"
    manifest.write_text("quorum = 2\n" + manifest.read_text("utf-8"), "utf-8")
    with pytest.raises(ModelRefused, match="quorum"):
        remove_member(opened(models), "m0", verify)


def test_an_ensemble_is_removed_and_nothing_beside_it(models: Path) -> None:
    write_ensemble(models / "other", [classifier(VOCABULARY, 3)], labels=("a", "b", "c"))
    remove_ensemble(opened(models))
    assert [path.name for path in models.iterdir()] == ["other"]


def test_what_somebody_else_wrote_meanwhile_is_not_written_over(second: Path) -> None:
    def changing(root: Path, name: str) -> None:
        verify(root, name)
        path = second / "tone" / "manifest.toml"
        path.write_text(path.read_text("utf-8") + "# mine\n", "utf-8")

    with pytest.raises(ModelRefused, match="changed by another process"):
        use_version(opened(second), "m0", "1", changing)
    assert (second / "tone" / "manifest.toml").read_text("utf-8").endswith("# mine\n")


def test_versions_are_in_the_order_of_their_numbers(models: Path) -> None:
    stored = opened(models)
    for version in ("10", "2", "1.10", "1.9"):
        place = stored.folder / "m1" / version
        place.mkdir(parents=True)
        (place / "member.toml").write_text("", "utf-8")
    assert version_names(stored, "m1") == ["1", "1.9", "1.10", "2", "10"]
    with pytest.raises(ModelRefused, match=r"member\.toml: not a member's description"):
        read_version(stored, "m1", "10")
