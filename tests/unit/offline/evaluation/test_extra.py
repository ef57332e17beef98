from __future__ import annotations

import sys
from pathlib import Path

import pytest

from streamproc.errors import OperatorError
from streamproc.offline.corpus.rows import Source
from streamproc.offline.evaluation.eval_tasks import Data, eval_task_for
from streamproc.repository.manifest import read_manifest
from tests.support.onnx_models import classifier, write_ensemble


@pytest.mark.parametrize(
    ("task", "library", "module"),
    [
        ("token-classification", "seqeval", "entity_eval"),
        ("translation", "sacrebleu", "translation_eval"),
    ],
)
def test_the_missing_extra_is_named_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, library: str, module: str
) -> None:
    manifest = write_ensemble(tmp_path / "tiny", [classifier()], task=task)
    monkeypatch.delitem(sys.modules, f"streamproc.offline.evaluation.{module}", raising=False)
    for name in [one for one in sys.modules if one.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(OperatorError, match=rf"{library}.*install streamproc\[evaluate\]"):
        eval_task_for(
            read_manifest(manifest.read_bytes(), "tiny"), Data([Source("x", Path("gone.jsonl"))])
        )
