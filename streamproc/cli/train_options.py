"""Flags of `streamproc train`, made of the options of a training run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic.fields import FieldInfo

from streamproc.cli.options import with_flags
from streamproc.offline.training.config import TrainConfig, flag
from streamproc.offline.training.options import GROUPS


def with_train_config(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command a flag for each option of a training run; it is handed `config`."""
    flags = [
        _flag(name, TrainConfig.model_fields[name], group.heading)
        for group in GROUPS
        for name in group.model_fields
    ]
    return with_flags(command, "config", flags, lambda **values: TrainConfig.read(values))


def _flag(name: str, field: FieldInfo, heading: str) -> inspect.Parameter:
    kinds = (field.annotation, *get_args(field.annotation))
    least = next((one.ge for one in field.metadata if hasattr(one, "ge")), None)
    most = next((one.le for one in field.metadata if hasattr(one, "le")), None)
    if Ellipsis in kinds:
        kind: Any = list[str]
    else:
        # What is none of these is text, and validated with all others.
        kind = next((one for one in (int, float, Path) if one in kinds), str)
    line = " ".join((field.description or "").split())
    option = typer.Option(flag(name), help=line, min=least, max=most, rich_help_panel=heading)
    default = inspect.Parameter.empty if field.is_required() else field.default
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default or None if kind == list[str] else default,
        annotation=Annotated[kind if default is not None else kind | None, option],
    )
