"""`streamproc models promote`, `rollback`, `pin` and `list --versions`, with a worker that runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.command import streamproc
from tests.support.versioned_models import ENSEMBLE, own_settings, spoil, write_versions
from tests.support.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


async def test_versions_are_promoted_pinned_and_rolled_back_by_commands(
    kafka: str, tmp_path: Path
) -> None:
    name = f"promoted-{uuid4().hex[:8]}"
    models = tmp_path / "models"
    digests = write_versions(models, 1, 2, 3)
    spoil(models, 3)
    settings = own_settings(kafka, tmp_path, name)

    async def models_command(*words: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(streamproc, "models", *words, settings=settings)

    applied = await asyncio.to_thread(streamproc, "topics", "apply", settings=settings)
    assert applied.returncode == 0, applied.stderr
    worker = WorkerProcess(kafka, name, tmp_path / "worker.log", settings)
    worker.start()
    try:
        await worker.wait_until_ready()
        nothing = await models_command("rollback", ENSEMBLE)
        assert (nothing.returncode, "nothing was promoted" in nothing.stderr) == (2, True)

        promoted = await models_command("promote", f"{ENSEMBLE}@2", "--json")
        assert promoted.returncode == 0, promoted.stdout + promoted.stderr
        told = json.loads(promoted.stdout)
        assert told["serves"] == {"version": "2", "manifest": digests["2"]}
        assert len(told["workers"]["serving"]) == 1

        # What this machine finds broken is told to nobody.
        found = await models_command("promote", f"{ENSEMBLE}@3")
        assert (found.returncode, "m1.onnx is not the file" in found.stderr) == (2, True)
        broken = await models_command("promote", f"{ENSEMBLE}@3", "--no-verify")
        assert broken.returncode == 1
        assert "refused" in broken.stdout
        assert "m1.onnx is not the file" in " ".join(broken.stdout.split())

        listed = await models_command("list", "--versions", "--json")
        rows = {row["version"]: row for row in json.loads(listed.stdout)}
        assert (rows["3"]["chosen"], rows["3"]["workers"]) == ("promoted", [])
        assert "m1.onnx is not the file" in rows["3"]["refused"]
        assert len(rows["2"]["workers"]) == 1
        looked = await asyncio.to_thread(streamproc, "doctor", "--json", settings=settings)
        promoted_here = [
            one for one in json.loads(looked.stdout)["findings"] if one["name"] == "promoted"
        ]
        assert {one["state"] for one in promoted_here} == {"failed", "warning"}

        back = await models_command("rollback", ENSEMBLE)
        assert back.returncode == 0, back.stdout + back.stderr
        pinned = await models_command("pin", ENSEMBLE)
        assert (pinned.returncode, "pinned to that" in pinned.stdout) == (0, True)
        refused = await models_command("rollback", ENSEMBLE)
        assert (refused.returncode, "is pinned to version 2" in refused.stderr) == (2, True)
        assert (await models_command("pin", ENSEMBLE, "--off")).returncode == 0
        first = await models_command("rollback", ENSEMBLE, "--json")
        assert json.loads(first.stdout)["serves"]["version"] == "1"
        assert len(json.loads(first.stdout)["workers"]["serving"]) == 1
    finally:
        worker.stop()
