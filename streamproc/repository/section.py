"""What every section of a manifest has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Values as they are written, none of them unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
