"""A row for every version on disk: which is promoted, who serves it, and why one is refused."""

from __future__ import annotations

from pathlib import Path

from streamproc.cli.version_list import version_rows
from streamproc.messages.worker_state import EnsembleState, WorkerState
from streamproc.repository.repository import Repository
from tests.support.states import TASK, worker_state
from tests.support.versioned_models import ENSEMBLE, choice, write_versions


def serving(worker: str, version: str, manifest: str, **changes: str) -> WorkerState:
    served = EnsembleState(name=ENSEMBLE, task=TASK, version=version, manifest=manifest, **changes)
    return worker_state(worker, ensembles=[served])


def test_without_a_choice_the_first_version_is_the_default(tmp_path: Path) -> None:
    write_versions(tmp_path, 1, 2)
    rows = version_rows(Repository(tmp_path), {}, [])
    assert [(row.version, row.chosen) for row in rows] == [("1", "default"), ("2", "")]
    assert rows[0].members == {"m0": "1", "m1": "1"}


def test_who_serves_what_and_what_is_refused(tmp_path: Path) -> None:
    digests = write_versions(tmp_path, 1, 2, 3)
    told = choice(tmp_path, "streamproc", 3, 0, 1)
    (tmp_path / f"{ENSEMBLE}@2" / "manifest.toml").write_text("]")
    states = [
        serving("a", "1", digests["1"], wanted="3", refused="too large"),
        serving("b", "3", digests["3"]),
        serving("c", "3", "another"),
    ]
    one, two, three = version_rows(Repository(tmp_path), {ENSEMBLE: told}, states)

    assert (one.chosen, one.workers, one.refused) == ("", ["a"], "")
    assert (two.chosen, two.workers) == ("", [])
    assert "not TOML" in two.refused
    assert (three.chosen, three.workers, three.refused) == ("promoted", ["b"], "too large")
    pinned = version_rows(Repository(tmp_path), {ENSEMBLE: told.pinned(on=True)}, states)
    assert pinned[2].chosen == "pinned"
