"""The base model that an option names, found for a command: fetched first, while a bar shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from streamproc.cli.progress import fetching
from streamproc.cli.terminal import stderr_console
from streamproc.settings import read_settings

if TYPE_CHECKING:
    from streamproc.offline.training.base import FindBase


@contextmanager
def finding_base() -> Iterator[FindBase]:
    """What finds a base by its name or folder; needs the train extra."""
    from streamproc.offline.training.base import find_base

    with fetching("the base model", stderr_console()) as report:
        yield partial(find_base, cache_dir=read_settings().cache_dir, progress=report)
