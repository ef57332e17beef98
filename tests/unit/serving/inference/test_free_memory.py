"""What is free: of the machine, or of a container that has less, without what may be dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.serving.inference.free_memory import free_memory_bytes

MIB = 2**20


def machine(folder: Path, mib: int) -> Path:
    path = folder / "meminfo"
    path.write_text(f"MemTotal:  99999 kB\nMemAvailable:  {mib * 1024} kB\n")
    return path


def container(folder: Path, limit: str, used: int = 300, files: int = 100) -> Path:
    (folder / "memory.max").write_text(limit + "\n")
    (folder / "memory.current").write_text(f"{used * MIB}\n")
    (folder / "memory.stat").write_text(f"anon 7\ninactive_file {files * MIB}\nfile 9\n")
    return folder


@pytest.mark.parametrize(
    ("limit", "free"),
    [
        (str(1000 * MIB), 800),
        (str(100 * MIB), 0),
        (str(9999 * MIB), 900),
        ("max", 900),
    ],
)
def test_the_smaller_of_both_counts(tmp_path: Path, limit: str, free: int) -> None:
    found = free_memory_bytes(machine(tmp_path, 900), container(tmp_path, limit))
    assert found == free * MIB


def test_without_a_container_the_machine_counts(tmp_path: Path) -> None:
    assert free_memory_bytes(machine(tmp_path, 900), tmp_path / "none") == 900 * MIB


def test_what_nobody_says_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemAvailable:\n")
    assert free_memory_bytes(tmp_path / "meminfo", tmp_path) is None
