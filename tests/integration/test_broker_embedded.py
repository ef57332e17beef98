"""The embedded Kafka, really started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamproc.errors import EmbeddedBrokerError
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.embedded.ports import free_port
from streamproc.settings import read_settings

pytestmark = pytest.mark.kafka


def a_broker(data_dir: Path | None = None, port: int = 0, memory_mb: int = 256) -> EmbeddedBroker:
    return EmbeddedBroker(data_dir, port, memory_mb, cache_dir=read_settings().cache_dir)


@asynccontextmanager
async def admin_of(servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def store(servers: str, topic: str, value: bytes) -> None:
    async with admin_of(servers) as admin:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    async with AIOKafkaProducer(bootstrap_servers=servers, acks="all") as producer:
        await producer.send_and_wait(topic, value)


async def stored(servers: str, topic: str) -> bytes | None:
    async with AIOKafkaConsumer(bootstrap_servers=servers) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        value: bytes | None = (await consumer.getone()).value
        return value


async def test_broker_that_has_started_takes_and_gives_records(kafka: str) -> None:
    await store(kafka, "broker-takes-records", b"a record")
    assert await stored(kafka, "broker-takes-records") == b"a record"


async def test_records_and_cluster_survive_an_orderly_restart(tmp_path: Path) -> None:
    properties = tmp_path / "kafka" / "meta.properties"
    with a_broker(tmp_path) as broker:
        await store(broker.bootstrap_servers, "kept", b"still here")
        first = properties.read_text("utf-8").splitlines()[1:]
    with a_broker(tmp_path) as broker:
        assert await stored(broker.bootstrap_servers, "kept") == b"still here"
        second = properties.read_text("utf-8").splitlines()[1:]
    cluster = [line for line in first if line.startswith("cluster.id=")]
    assert len(cluster) == 1
    assert cluster[0] in second


@pytest.mark.slow
async def test_acknowledged_record_survives_sigkill_and_the_port_stays() -> None:
    broker = a_broker()
    try:
        broker.start()
        servers = broker.bootstrap_servers
        await store(servers, "kept", b"still here")
        broker.kill()
        assert not broker.is_running
        broker.start()
        assert broker.bootstrap_servers == servers
        assert await stored(servers, "kept") == b"still here"
    finally:
        broker.stop()


async def test_two_brokers_live_side_by_side(kafka: str) -> None:
    with a_broker() as other:
        await store(other.bootstrap_servers, "only-in-the-other", b"x")
        async with admin_of(kafka) as admin:
            assert "only-in-the-other" not in await admin.list_topics()


def test_temporary_folder_is_gone_after_stop() -> None:
    with a_broker() as broker:
        folder = broker.data_dir
        assert folder.exists()
    assert not folder.exists()


def test_second_broker_on_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with (
        a_broker(tmp_path) as first,
        pytest.raises(EmbeddedBrokerError, match="in use by another embedded Kafka"),
    ):
        a_broker(tmp_path).start()
    assert not first.is_running


def test_broker_that_dies_early_shows_its_last_words_and_log(tmp_path: Path) -> None:
    # A heap of 1 MiB is too small for the JVM itself.
    with pytest.raises(EmbeddedBrokerError) as caught:
        a_broker(tmp_path, memory_mb=1).start()
    assert "Too small maximum heap" in str(caught.value) or "OutOfMemory" in str(caught.value)
    assert str(tmp_path / "broker.log") in str(caught.value)


HOLDER = """
import sys
from pathlib import Path
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.settings import read_settings
broker = EmbeddedBroker(Path(sys.argv[1]), memory_mb=256, cache_dir=read_settings().cache_dir)
broker.start()
print("answers", flush=True)
sys.stdin.read()
"""


def test_broker_does_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"answers\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert any("kafka.Kafka" in child.cmdline() for child in children)
        parent.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_says_where_it_answers_and_a_signal_ends_it_with_0(
    tmp_path: Path, number: signal.Signals
) -> None:
    port = free_port()
    arguments = ["--port", str(port), "--data-dir", str(tmp_path), "--memory-mb", "256"]
    command = subprocess.Popen(
        [sys.executable, "-m", "streamproc", "broker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with command:
        assert command.stdout is not None
        line = command.stdout.readline()
        assert f"answers on 127.0.0.1:{port}" in line
        assert str(tmp_path / "broker.log") in line
        children = psutil.Process(command.pid).children(recursive=True)
        os.kill(command.pid, number)
        _, errors = command.communicate(timeout=60)
    assert command.returncode == 0
    assert errors == ""
    assert psutil.wait_procs(children, timeout=10)[1] == []
