"""Topics of a test's own on a Kafka that tests share, so that their workers don't meet."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamproc.settings import read_settings
from tests.support.command import streamproc


@dataclass(frozen=True, slots=True)
class OwnTopics:
    """The shipped topics under other names, described in a folder of their own.

    settings: for commands and workers that are to use them
    """

    folder: Path
    settings: dict[str, str]
    requests: str
    bulk: str
    responses: str
    dead_letters: str
    feedback: str

    def edit(self, kind: str, old: str, new: str) -> None:
        """Change the description of `requests`, `bulk`, `responses` or `dlq`."""
        file = self.folder / f"nlp.text-classification.{kind}.v1.yaml"
        text = file.read_text("utf-8")
        assert old in text
        file.write_text(text.replace(old, new), "utf-8")


def describe_topics(bootstrap_servers: str, folder: Path, prefix: str) -> OwnTopics:
    """Describe the topics as `<prefix>.requests.v1` and so on; Kafka does not have them yet."""
    shutil.copytree(read_settings().topics_dir, folder)
    for file in folder.glob("*.yaml"):
        if ".text-classification." not in file.name:
            file.unlink()
            continue
        text = file.read_text("utf-8").replace("nlp.text-classification.", f"{prefix}.")
        file.write_text(text, "utf-8")
    return OwnTopics(
        folder,
        {"KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, "TOPICS_DIR": str(folder)},
        *(f"{prefix}.{kind}.v1" for kind in ("requests", "bulk", "responses", "dlq", "feedback")),
    )


def make_topics(topics: OwnTopics, settings: Mapping[str, str] | None = None) -> None:
    """`streamproc topics apply` for them."""
    done = streamproc("topics", "apply", settings={**topics.settings, **(settings or {})})
    assert done.returncode == 0, done.stdout + done.stderr
