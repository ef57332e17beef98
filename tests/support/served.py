"""Which tasks the workers under test serve, and from which models folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from streamproc.kafka.topics import load_topics
from streamproc.repository.repository import MANIFEST, PREFIXES, Repository
from streamproc.serving.tasks.catalogue import TASKS
from streamproc.settings import read_settings
from streamproc.worker import served_tasks
from tests.support.small_ensembles import SMALL, write_small_ensembles


@dataclass(frozen=True, slots=True)
class Served:
    """Tasks, and a folder that has an ensemble for each."""

    tasks: tuple[str, ...]
    models_dir: Path

    @property
    def settings(self) -> dict[str, str]:
        """The folder as a setting, name without prefix."""
        return {"MODELS_DIR": str(self.models_dir)}


@contextmanager
def served(tasks: str = "", models_dir: Path | None = None, *, small: bool) -> Iterator[Served]:
    """What a command's options say, for as long as the block lasts.

    tasks: comma-separated; none: all that there is an ensemble for
    models_dir: None: the models folder of the settings
    small: where that has no ensemble for a task, one of small graphs made by hand stands in
    Raises typer.BadParameter.
    """
    settings = read_settings()
    folder = models_dir or settings.models_dir
    with TemporaryDirectory(prefix="streamproc-models-") as name:
        if small:
            folder = _with_small_ones(folder.resolve(), Path(name))
        there = served_tasks(load_topics(settings.topics_dir), Repository(folder))
        wanted = tuple(part.strip() for part in tasks.split(",") if part.strip()) or there
        if unknown := [task for task in wanted if task not in there]:
            raise typer.BadParameter(
                f"no ensemble for {', '.join(unknown)} in {folder}; there is one for "
                f"{', '.join(there)}, and --small makes others",
                param_hint="--tasks",
            )
        yield Served(wanted, folder)


def _with_small_ones(shipped: Path, folder: Path) -> Path:
    there = [manifest.parent for manifest in shipped.glob(f"*/{MANIFEST}")]
    # The layers that some of them share lie beside them.
    for found in [*there, shipped / PREFIXES]:
        (folder / found.name).symlink_to(found, target_is_directory=True)
    lacking = [task for task in TASKS if not (folder / SMALL[task]).exists()]
    write_small_ensembles(folder, lacking)
    return folder
