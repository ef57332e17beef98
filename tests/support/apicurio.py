"""A real schema registry for tests: Apicurio Registry, which speaks Confluent's API, on our Java.

Fetched from Maven Central once, as the embedded Kafka's jars are, and kept beside them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock
from jgo.maven import MavenContext, PythonResolver

import streamproc.kafka.embedded
from streamproc.errors import EmbeddedBrokerError
from streamproc.kafka.embedded import default_cache_dir
from streamproc.kafka.embedded.java import find_java
from streamproc.kafka.embedded.ports import free_port
from streamproc.maven import Pin, verify
from streamproc.settings import read_settings

VERSION = "3.3.3"
PIN = Pin(
    PurePosixPath(
        f"io/apicurio/apicurio-registry-app/{VERSION}/apicurio-registry-app-{VERSION}-all.tar.gz"
    ),
    "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63",
)
_LAUNCH = Path(streamproc.kafka.embedded.__file__).with_name("launch.py")


class Apicurio:
    """A registry on a port of this machine; what was registered is there after `stop` too."""

    def __init__(self, folder: Path) -> None:
        """folder: for its data and its log"""
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of Confluent's API."""
        return f"http://127.0.0.1:{self._port}/apis/ccompat/v7"

    def start(self) -> None:
        """Returns when it answers; nothing happens when it runs."""
        if self._process is not None:
            return
        java = [str(find_java()), "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        settings = {
            "QUARKUS_HTTP_HOST": "127.0.0.1",
            "QUARKUS_HTTP_PORT": str(self._port),
            "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
            "QUARKUS_MANAGEMENT_PORT": str(free_port(besides=self._port)),
            "APICURIO_DATASOURCE_URL": f"jdbc:h2:file:{self._folder}/registry",
        }
        log = self._folder / "registry.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCH), *java, "-jar", "quarkus-run.jar"],
                cwd=_installed(),
                env=settings,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        give_up_at = time.monotonic() + 120
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise TimeoutError(log.read_text("utf-8", "replace")[-2000:])
            time.sleep(0.1)

    def stop(self) -> None:
        """End it in order: what it holds in memory is written."""
        if self._process is not None:
            # The program that started it ends it when its input ends.
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(60)
            self._process = None

    def register(self, subject: str, schema: dict[str, Any] | str, type_: str = "AVRO") -> int:
        """A schema's id, registered under a subject."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        body = {"schema": text, "schemaType": type_}
        return int(self.call("POST", f"/subjects/{subject}/versions", body)["id"])

    def schema(self, id_: int) -> Any:
        """A schema by its id, parsed."""
        return json.loads(self.call("GET", f"/schemas/ids/{id_}")["schema"])

    def subjects(self) -> list[str]:
        """All there are."""
        return list(self.call("GET", "/subjects"))

    def versions(self, subject: str) -> list[int]:
        """Under a subject."""
        return list(self.call("GET", f"/subjects/{subject}/versions"))

    def require(self, subject: str, compatibility: str) -> None:
        """Set a subject's compatibility; it has to exist."""
        self.call("PUT", f"/config/{subject}", {"compatibility": compatibility})

    def call(self, method: str, path: str, body: object = None) -> Any:
        """What it answers, parsed."""
        request = urllib.request.Request(  # noqa: S310 - our own
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/vnd.schemaregistry.v1+json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def _answers(self) -> bool:
        try:
            self.subjects()
        except (OSError, ValueError):
            return False
        return True


def _installed() -> Path:
    """The folder of the program, fetched and unpacked first where it is not there."""
    cache = read_settings().cache_dir or default_cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"apicurio-registry-{VERSION}"
    with FileLock(cache / f"{folder.name}.lock", timeout=600):
        if not folder.exists():
            fetching = cache / f"{folder.name}.fetching"
            context = MavenContext(
                resolver=PythonResolver(), repo_cache=fetching, local_repos=[], timeout=60
            )
            group, artifact, version = PIN.coordinates
            found = context.project(group, artifact).at_version(version)
            archive = Path(found.artifact(classifier="all", packaging="tar.gz").resolve())
            verify(PIN, archive, EmbeddedBrokerError)
            with tarfile.open(archive) as files:
                files.extractall(fetching / "program", filter="data")
            (fetching / "program").rename(folder)
            shutil.rmtree(fetching)
    return folder
