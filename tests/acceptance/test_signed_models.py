"""`streamproc models sign`, and what is refused by those who ask for signatures."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.command import streamproc
from tests.support.onnx_models import classifier, write_ensemble
from tests.support.signing_keys import key_pair
from tests.support.versioned_models import ENSEMBLE, own_settings, write_versions
from tests.support.worker_process import WorkerProcess


def test_a_file_is_answered_by_what_a_trusted_key_has_signed_and_by_nothing_else(
    tmp_path: Path,
) -> None:
    models = tmp_path / "models"
    write_ensemble(models / ENSEMBLE, [classifier(seed=1)])
    ours, theirs = (key_pair(tmp_path / "keys", name) for name in ("ours", "theirs"))
    settings = {"MODELS_DIR": str(models), "MODEL_KEY": str(ours.public), "THREADS": "1"}
    (tmp_path / "rows.jsonl").write_text('{"id": "1", "text": "good"}\n')

    def run() -> subprocess.CompletedProcess[str]:
        return streamproc("run", tmp_path / "rows.jsonl", settings=settings)

    unsigned = run()
    assert (unsigned.returncode, unsigned.stdout) == (2, "")
    assert "sentiment is not signed" in unsigned.stderr
    assert "Traceback" not in unsigned.stderr

    signed = streamproc("models", "sign", ENSEMBLE, "--key", theirs.private, settings=settings)
    assert (signed.returncode, "manifest.toml.sig" in signed.stdout) == (0, True)
    refused = run()
    assert (refused.returncode, "another key has signed it" in refused.stderr) == (2, True)
    told = streamproc("models", "verify", settings=settings)
    assert (told.returncode, "refused sentiment" in told.stdout) == (1, True)

    signed = streamproc("models", "sign", ENSEMBLE, "--key", ours.private, settings=settings)
    assert signed.returncode == 0, signed.stderr
    answered = run()
    assert answered.returncode == 0, answered.stderr
    assert json.loads(answered.stdout)["status"] == "ok"
    verified = streamproc("models", "verify", settings=settings)
    assert (verified.returncode, "good sentiment, signed, on cpu" in verified.stdout) == (0, True)

    manifest = models / ENSEMBLE / "manifest.toml"
    manifest.write_text(manifest.read_text() + "# changed\n")
    changed = run()
    assert (changed.returncode, "it was changed after it was signed" in changed.stderr) == (2, True)
    # Those who change ensembles have not signed yet what they try out.
    without = {name: value for name, value in settings.items() if name != "MODEL_KEY"}
    assert streamproc("models", "verify", settings=without).returncode == 0


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_worker_with_a_key_starts_with_what_is_signed_and_exchanges_it_for_nothing_else(
    kafka: str, tmp_path: Path
) -> None:
    name = f"signed-{uuid4().hex[:8]}"
    models = tmp_path / "models"
    digests = write_versions(models, 1, 2)
    ours = key_pair(tmp_path / "keys")
    of_operator = own_settings(kafka, tmp_path, name)
    of_worker = {**of_operator, "MODEL_KEY": str(ours.public)}

    async def command(
        *words: str, settings: Mapping[str, str] = of_operator
    ) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(streamproc, *words, settings=settings)

    assert (await command("topics", "apply")).returncode == 0
    ended = await command("worker", settings=of_worker)
    assert (ended.returncode, "sentiment is not signed" in ended.stderr) == (2, True)

    ours.sign(models, ENSEMBLE)
    worker = WorkerProcess(kafka, name, tmp_path / "worker.log", of_worker)
    worker.start()
    try:
        await worker.wait_until_ready()
        version = f"{ENSEMBLE}@2"
        here = await command("models", "promote", version, settings=of_worker)
        assert (here.returncode, "sentiment@2 is not signed" in here.stderr) == (2, True)

        refused = await command("models", "promote", version, "--no-verify", "--json")
        (reason,) = json.loads(refused.stdout)["workers"]["refused"].values()
        assert (refused.returncode, "sentiment@2 is not signed" in reason) == (1, True)
        looked = await command("doctor", "--json", settings=of_worker)
        found = {one["found"] for one in json.loads(looked.stdout)["findings"]}
        assert any("sentiment@2 is promoted" in one and "is not signed" in one for one in found)

        ours.sign(models, version)
        promoted = await command("models", "promote", version, "--json", settings=of_worker)
        assert promoted.returncode == 0, promoted.stdout + promoted.stderr
        assert json.loads(promoted.stdout)["serves"]["manifest"] == digests["2"]
    finally:
        worker.stop()
