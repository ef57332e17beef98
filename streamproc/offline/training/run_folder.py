"""The folder of a training run: what decided it, what it shares, and a folder a member."""

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

from streamproc import __version__
from streamproc.errors import TrainingError
from streamproc.offline.training.devices import device, processes
from streamproc.offline.training.events import Epoch
from streamproc.offline.training.plan import Plan, data, deciding
from streamproc.offline.training.training_state import epoch_from
from streamproc.repository.digests import sha256
from streamproc.repository.toml import TomlValue, section

_LIBRARIES = ("torch", "transformers", "accelerate", "tokenizers", "onnxruntime", "numpy")
# No part is called so: names of parts begin with a letter or a digit.
TRUNK = "_trunk"
_GROUNDWORK = "_groundwork"
_RUN = "run.toml"
_LOCK = ".lock"
_FINISHED = "finished.json"
# A process that was left behind by a killed one ends within this time.
_LOCK_SECONDS = 30


class RunFolder:
    """run.toml, _groundwork/, and for each member and the trunk a folder with

    log.jsonl          what has been told of it
    checkpoints/       while it is trained
    finished.json      when it is: its best epoch; and beside it the model as a Hugging Face folder
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def groundwork(self) -> Path:
        return self.path / _GROUNDWORK

    def member(self, part: str) -> Path:
        """A member's folder, or the trunk's."""
        return self.path / part

    @contextmanager
    def held(self, part: str = "") -> Iterator[None]:
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

    def begin(self, plan: Plan, *, fresh: bool = False) -> None:
        """Write down what decides the run, or see that it is what was written before.

        fresh: remove what an earlier run has left
        Raises TrainingError naming what differs.
        """
        path = self.path / _RUN
        decided = _decided(plan)
        if not path.is_file():
            self._refuse_strangers()
        elif fresh:
            self._clear()
        elif differing := _differing(self.read(), tomllib.loads(decided)):
            if self._anything_trained():
                raise TrainingError(
                    f"{self.path} holds a run that was begun otherwise:\n"
                    + "".join(f"  {line}\n" for line in differing)
                    + "Go on as it was begun, name another --work, or begin anew with --fresh."
                )
            self._clear()  # an option that was wrong, and has been put right
        _write(path, decided)

    def _refuse_strangers(self) -> None:
        if any(own.name != _LOCK for own in self.path.iterdir()):
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

    def check_data(self, plan: Plan) -> None:
        """See that the files are those that were learned from; raises TrainingError."""
        for then, now in zip(self.read()["data"], data(plan), strict=True):
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
        """Add to `run.toml` the settings that a search has found."""
        path = self.path / _RUN
        before = path.read_text(encoding="utf-8").partition("\n[found]")[0]
        _write(path, f"{before}\n{section('[found]', found)}")

    def finish(self, part: str, best: Epoch, weights: str) -> None:
        """Note that a member is trained. weights: their digest."""
        noted = {"best": asdict(best), "sha256": weights}
        _write(self.member(part) / _FINISHED, json.dumps(noted, indent=1) + "\n")

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
        return epoch_from(noted["best"])


def _decided(plan: Plan) -> str:
    """`run.toml`: no time and no place in it but what the user named."""
    found = device()
    machine: dict[str, TomlValue] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": found.name,
        "precision": found.precision,
        "processes": processes(),
    }
    sections: list[tuple[str, Mapping[str, TomlValue]]] = [
        ("", {"format": 1, "ensemble": plan.ensemble}),
        ("[arguments]", plan.arguments),
        ("[decided]", deciding(plan)),
        *(("[[data]]", one) for one in data(plan)),
        ("[versions]", {"streamproc": __version__, **_libraries()}),
        ("[machine]", machine),
    ]
    return "\n".join(section(title, values) for title, values in sections)


def _libraries() -> dict[str, str]:
    # Asked of the modules: ONNX Runtime is installed under several names.
    return {name: import_module(name).__version__ for name in _LIBRARIES}


def _comparable(run: Mapping[str, Any]) -> dict[str, Any]:
    """Of `run.toml` what decides the weights."""
    files = {f"{one['split']} {one['file']}": one for one in run.get("data", ())}
    return {**{key: run[key] for key in ("decided", "versions", "machine")}, "data": files}


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What decides the weights otherwise than then, a line each."""
    before, after = (_flattened(_comparable(run)) for run in (then, now))
    return [
        f"{key}: {before.get(key, 'not there')} then, {after.get(key, 'not there')} now"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def _flattened(value: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, own in value.items():
        name = f"{prefix}{key}"
        flat.update(_flattened(own, f"{name}.") if isinstance(own, Mapping) else {name: own})
    return flat


def _write(path: Path, text: str) -> None:
    """A file that is there whole or not at all."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
