"""A models folder with versions of one ensemble, and topics of a test's own for its workers."""

from __future__ import annotations

from pathlib import Path

from streamproc.messages.model_choice import ModelChoice, VersionDigest
from streamproc.repository.repository import Repository
from streamproc.settings import shipped
from streamproc.testing import build_tokenizer
from tests.support.onnx_models import classifier, write_ensemble
from tests.support.traced_worker import topics_folder

ENSEMBLE = "sentiment"
OF_WORKERS = ("models", "state", "experiments", "exposures")


def write_versions(root: Path, *versions: int) -> dict[str, str]:
    """Versions that say different things of a text; the digest of each manifest, by version."""
    words = build_tokenizer().vocabulary_size
    for version in versions:
        folder = root / (ENSEMBLE if version == 1 else f"{ENSEMBLE}@{version}")
        write_ensemble(folder, [classifier(words, seed=10 * version + one) for one in (1, 2)])
    return {str(version): digest(root, version) for version in versions}


def digest(root: Path, version: int) -> str:
    """That of a version's manifest."""
    return Repository(root).open(f"{ENSEMBLE}@{version}").digest


def spoil(root: Path, version: int) -> None:
    """Damage one model of a version; its manifest stays as it was."""
    model = Repository(root).folder(f"{ENSEMBLE}@{version}") / "m1.onnx"
    model.write_bytes(model.read_bytes()[:-100])


def choice(root: Path, group: str, version: int, at_ms: int, *before: int) -> ModelChoice:
    """That a version is promoted."""
    made = {
        number: VersionDigest(version=str(number), manifest=digest(root, number))
        for number in (version, *before)
    }
    return ModelChoice(
        group=group,
        ensemble=ENSEMBLE,
        serves=made[version],
        before=[made[number] for number in before],
        at_ms=at_ms,
    )


def own_topics(folder: Path, name: str) -> Path:
    """The topics of one task, and those of workers, under names that begin with `name`."""
    folder.mkdir()
    topics_folder(folder, name)
    for kind in OF_WORKERS:
        file = shipped("topics") / f"streamproc.{kind}.v1.yaml"
        described = file.read_text("utf-8").replace("name: streamproc.", f"name: {name}.")
        (folder / file.name).write_text(described, "utf-8")
    return folder


def own_settings(kafka: str, folder: Path, name: str) -> dict[str, str]:
    """Of a group with topics of its own, whose models lie in `models` in the folder."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "GROUP_ID": name,
        "MODELS_DIR": str(folder / "models"),
        "TOPICS_DIR": str(own_topics(folder / "topics", name)),
        "STATE_INTERVAL_S": "0.5",
    }
