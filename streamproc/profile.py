"""Which members of an ensemble are asked, by name; docs/profiles.md says what each gives up."""

from __future__ import annotations

from typing import Literal

Profile = Literal["full", "cascade", "trusted"]
"""All members, or as few as validation data allow."""

FewerMembers = Literal["cascade", "trusted", "brown-out"]
"""Why fewer members were asked than there are."""
