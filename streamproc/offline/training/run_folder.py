"""The folder of a training run: what decided it, what members share, and a folder for each."""

from __future__ import annotations

import json
import platform
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from streamproc import __version__
from streamproc.errors import TrainingError
from streamproc.offline.training.config import differences
from streamproc.offline.training.devices import device, processes
from streamproc.offline.training.events import Epoch
from streamproc.offline.training.plan import TrainingPlan
from streamproc.repository.files import atomic_write, sha256
from streamproc.repository.toml import TomlValue, to_toml

_LIBRARIES = ("torch", "transformers", "accelerate", "tokenizers", "onnxruntime", "numpy")
# No part is called so: names of parts begin with a letter or a digit.
SEED_MODEL = "_seed_model"
_SHARED = "_shared"
_RUN = "run.toml"
_LOCK = ".lock"
_FINISHED = "finished.json"
_EXPORTS = "exports.txt"
# A process that was left behind by a killed one ends within this time.
_LOCK_SECONDS = 30


class RunFolder:
    """run.toml, _shared/, and for each member and the seed model a folder with

    log.jsonl          the events of its training
    checkpoints/       while it is trained
    finished.json      when it is: its best epoch; and beside it the model as a Hugging Face folder
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def shared(self) -> Path:
        """What members share."""
        return self.path / _SHARED

    def member(self, part: str) -> Path:
        """A member's folder, or the seed model's."""
        return self.path / part

    @contextmanager
    def locked(self, part: str = "") -> Iterator[None]:
        """Keep others out of the folder, or of a member's; raises TrainingError when one is in."""
        folder = self.path / part
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK, timeout=_LOCK_SECONDS)
        try:
            with lock:
                yield
        except Timeout:
            raise TrainingError(
                f"{folder}: another process trains here; wait for it, or name another --work."
            ) from None

    def begin(self, plan: TrainingPlan, *, fresh: bool = False) -> None:
        """Write down what decides the run, or check that it is what was written before.

        fresh: remove what an earlier run has left
        Raises TrainingError naming what differs.
        """
        path = self.path / _RUN
        description = _description(plan)
        if not path.is_file():
            self._refuse_strangers()
        elif fresh:
            self._clear()
        elif differing := _differing(self.read(), tomllib.loads(description)):
            if self._anything_trained():
                raise TrainingError(
                    f"{self.path} holds a run that was started otherwise:\n"
                    + "".join(f"  {line}\n" for line in differing)
                    + "Go on as it was started, name another --work, or begin anew with --fresh."
                )
            self._clear()  # an option that was wrong, and has been put right
        atomic_write(path, description)

    def _refuse_strangers(self) -> None:
        if any(not own.name.startswith(".") for own in self.path.iterdir()):
            raise TrainingError(
                f"{self.path} holds something that is no training run (no {_RUN}): name another "
                "--work, or remove it."
            )

    def _anything_trained(self) -> bool:
        kept = (_FINISHED, "checkpoint-*")
        return any(next(self.path.rglob(name), None) for name in kept)

    def _clear(self) -> None:
        for own in self.path.iterdir():
            if own.name != _LOCK:
                shutil.rmtree(own) if own.is_dir() else own.unlink()

    def check_data(self, plan: TrainingPlan) -> None:
        """Check that the files are those that were learned from; raises TrainingError."""
        for then, now in zip(self.read()["data"], _data(plan), strict=True):
            if then["sha256"] != now["sha256"]:
                raise TrainingError(
                    f"{now['file']} is not what was learned from: its sha256 was {then['sha256']}, "
                    f"and is {now['sha256']}. Put back the file, or train anew."
                )

    def read(self) -> dict[str, Any]:
        """What `run.toml` says; raises TrainingError when it is not there."""
        path = self.path / _RUN
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TrainingError(f"{path}: not there; `streamproc train` makes it.") from None
        except (ValueError, RecursionError) as error:
            raise TrainingError(f"{path}: not what was written there: {error}.") from None

    def note_found(self, found: Mapping[str, TomlValue]) -> None:
        """Add to `run.toml` the options that a search has found."""
        path = self.path / _RUN
        before = path.read_text(encoding="utf-8").partition("\n[found]")[0]
        atomic_write(path, f"{before}\n{to_toml({'found': found})}")

    def note_export(self, folder: Path) -> None:
        """Note where a member is about to be exported to."""
        with (self.path / _EXPORTS).open("a", encoding="utf-8") as file:
            file.write(f"{folder.absolute()}\n")

    def has_exported(self, folder: Path) -> bool:
        """Whether what is there is a member of this run."""
        path = self.path / _EXPORTS
        noted = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return str(folder.absolute()) in noted

    def finish(self, part: str, best: Epoch, weights: str) -> None:
        """Note that a member is trained. weights: their digest."""
        noted = {"best": asdict(best), "sha256": weights}
        atomic_write(self.member(part) / _FINISHED, json.dumps(noted, indent=1) + "\n")

    def finished(self, part: str) -> Epoch | None:
        """The best epoch of a member that is trained.

        Raises TrainingError when its weights are not those that were noted.
        """
        folder = self.member(part)
        if not (folder / _FINISHED).is_file():
            return None
        noted = json.loads((folder / _FINISHED).read_text(encoding="utf-8"))
        if sha256(folder / "model.safetensors") != noted["sha256"]:
            raise TrainingError(
                f"{folder}: its weights are not those that were trained here; begin anew with "
                "--fresh."
            )
        return TypeAdapter(Epoch).validate_python(noted["best"])


def _description(plan: TrainingPlan) -> str:
    """`run.toml`: no time and no place in it but what the user named."""
    libraries: dict[str, TomlValue] = {
        # Asked of the modules: ONNX Runtime is installed under several names.
        name: import_module(name).__version__
        for name in _LIBRARIES
    }
    found = device()
    machine: dict[str, TomlValue] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": found.name,
        "precision": found.precision,
        "processes": processes(),
    }
    return to_toml(
        {
            "format": 1,
            "ensemble": plan.config.ensemble,
            "arguments": plan.config.written(),
            "decided": {"base": plan.recipe.base, "partitioning": plan.partitioning.description},
            "data": _data(plan),
            "versions": {"streamproc": __version__, **libraries},
            "machine": machine,
        }
    )


def _data(plan: TrainingPlan) -> list[dict[str, TomlValue]]:
    """The corpus files and their digests; raises TrainingError when one is not there."""
    splits = (("train", plan.corpus), ("valid", plan.valid), ("prefix", plan.prefix_corpus))
    return [
        {
            "split": split,
            "name": source.name,
            "file": f"{source.path.parent.name}/{source.path.name}",
            "sha256": _digest(source.path),
        }
        for split, sources in splits
        for source in sources
    ]


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise TrainingError(
            f"{path}: there is no such corpus file that can be read ({error.strerror})."
        ) from None


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What decides the weights and was otherwise then, a line each."""
    before, after = _comparable(then), _comparable(now)
    return differences(then["arguments"], now["arguments"]) + [
        f"started with {key} {before.get(key, 'not there')}, now {after.get(key, 'not there')}"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def _comparable(run: Mapping[str, Any]) -> dict[str, object]:
    """What decides the weights beside the options, by what a message calls it."""
    tables = ("decided", "versions", "machine")
    return {
        **{f"{table}.{key}": value for table in tables for key, value in run[table].items()},
        **{f"{one['split']} {one['file']}.sha256": one["sha256"] for one in run["data"]},
    }
