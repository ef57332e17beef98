"""`streamproc status` beside workers that work, stop and die, through the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from streamproc.kafka.client import RequestClient
from streamproc.settings import Settings
from tests.support.cluster import cluster, group
from tests.support.command import streamproc

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

GROUP, TASK = "status", "text-classification"


async def shown(bootstrap_servers: str) -> dict[str, Any]:
    """What `status --json` says."""
    settings = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, "GROUP_ID": GROUP}
    done = await asyncio.to_thread(streamproc, "status", "--json", settings=settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


async def test_status_shows_workers_from_their_start_to_their_end(tmp_path: Path) -> None:
    async with cluster() as made:
        servers = made.bootstrap_servers
        settings = Settings(kafka_bootstrap_servers=servers)
        async with group(servers, GROUP, tmp_path, workers=2) as running:
            async with RequestClient.of_task(settings) as client:
                answers = await asyncio.gather(
                    *(client.ask({"text": f"good {n}"}) for n in range(20))
                )
            assert {answer["status"] for answer in answers} == {"ok"}
            # Every worker says by then what it has answered.
            await asyncio.sleep(5)
            found = await shown(servers)
            assert (found["strip"]["workers"], found["strip"]["ready"]) == (2, 2)
            row = next(
                one
                for one in found["sources"]
                if (one["task"], one["lane"]) == (TASK, "interactive")
            )
            assert (row["workers"], row["waiting"], row["exists"]) == (2, 0, True)
            assert row["p50_ms"] > 0
            (ensemble,) = found["ensembles"]
            assert len(ensemble["members"]) == 3
            assert {0.0 <= one["agreement"] <= 1.0 for one in ensemble["members"]} == {True}

            for one in found["disagreements"]:
                labels = {one["together"], *one["members"].values()}
                assert labels == {"negative", "positive"}
                assert one["request_id"] in {answer["id"] for answer in answers}

            stopped, killed = running.workers
            assert await stopped.terminate() == 0
            killed.kill()
            await asyncio.sleep(12)
            found = await shown(servers)
            # The one that stopped has said so; of the other nothing is heard any more.
            (gone,) = found["workers"]
            assert (gone["stale"], gone["ready"]) == (True, False)
            assert found["strip"]["ready"] == 0
