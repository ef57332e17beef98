"""Only the pinned jars are ever run."""

from __future__ import annotations

import hashlib
import shutil
import socket
from collections import namedtuple
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from streamproc.errors import EmbeddedBrokerError
from streamproc.kafka.embedded.jars import KAFKA_VERSION, kafka_jars, read_pins
from streamproc.maven import Pin

Usage = namedtuple("Usage", "total used free")
PIN = Pin(
    PurePosixPath("org/example/thing_2.13/1.0/thing_2.13-1.0.jar"),
    hashlib.sha256(b"the jar").hexdigest(),
)


def cached(cache_dir: Path, content: bytes) -> Path:
    folder = cache_dir / f"kafka-{KAFKA_VERSION}"
    folder.mkdir()
    jar = folder / PIN.path.name
    jar.write_bytes(content)
    return jar


def test_every_pin_names_a_jar_of_its_own() -> None:
    pins = read_pins()
    assert len({pin.path.name for pin in pins}) == len(pins) == 46
    assert all(len(pin.sha256) == 64 and pin.path.suffix == ".jar" for pin in pins)
    assert ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION) in {p.coordinates for p in pins}


def test_pinned_jar_in_the_cache_is_used(tmp_path: Path) -> None:
    jar = cached(tmp_path, b"the jar")
    assert kafka_jars(tmp_path, pins=(PIN,)) == (jar,)


def test_tampered_jar_is_refused_and_named(tmp_path: Path) -> None:
    jar = cached(tmp_path, b"another jar")
    with pytest.raises(EmbeddedBrokerError) as caught:
        kafka_jars(tmp_path, pins=(PIN,))
    assert str(jar) in str(caught.value)
    assert "delete it and start again" in str(caught.value)


def test_jar_that_changes_after_its_first_use_is_refused(tmp_path: Path) -> None:
    jar = cached(tmp_path, b"the jar")
    kafka_jars(tmp_path, pins=(PIN,))
    jar.write_bytes(b"changed")
    with pytest.raises(EmbeddedBrokerError, match="not the file that streamproc pins"):
        kafka_jars(tmp_path, pins=(PIN,))


def test_no_network_at_first_use_is_one_sentence_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    with pytest.raises(EmbeddedBrokerError) as caught:
        kafka_jars(tmp_path, pins=(PIN,))
    message = str(caught.value)
    assert "can't be fetched" in message
    assert "STREAMPROC_KAFKA_BOOTSTRAP_SERVERS" in message
    assert "\n" not in message
    assert [f for f in tmp_path.rglob("*") if f.suffix == ".jar"] == []


def test_full_cache_disk_is_told_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 10 * 1024 * 1024))
    with pytest.raises(EmbeddedBrokerError, match=r"has 10 MiB free, .*STREAMPROC_CACHE_DIR"):
        kafka_jars(tmp_path, pins=(PIN,))


def test_repository_without_the_jar_is_told_apart_from_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("Artifact not found in remote repositories")

    monkeypatch.setattr("jgo.maven.PythonResolver.download", refuse)
    with pytest.raises(EmbeddedBrokerError, match="the repository does not give them"):
        kafka_jars(tmp_path, pins=(PIN,))


def test_what_a_killed_fetch_left_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / f"kafka-{KAFKA_VERSION}" / "fetching-left" / "half.jar"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")

    def give(_: Any, artifact: Any) -> Path:
        file = Path(artifact.cached_path)
        file.parent.mkdir(parents=True)
        file.write_bytes(b"the jar")
        return file

    monkeypatch.setattr("jgo.maven.PythonResolver.download", give)
    (jar,) = kafka_jars(tmp_path, pins=(PIN,))
    assert list(jar.parent.iterdir()) == [jar]


def test_wrong_file_from_the_repository_never_reaches_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give(_: Any, artifact: Any) -> Path:
        file = Path(artifact.cached_path)
        file.parent.mkdir(parents=True)
        file.write_bytes(b"something else")
        return file

    monkeypatch.setattr("jgo.maven.PythonResolver.download", give)
    with pytest.raises(EmbeddedBrokerError, match="not the file that streamproc pins"):
        kafka_jars(tmp_path, pins=(PIN,))
    assert list(tmp_path.rglob("*.jar")) == []
