"""Which members the requests of one topic ask: all, or fewer by a named profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from streamproc.errors import ModelRefused
from streamproc.profile import Profile
from streamproc.serving.brown_out import BrownOut
from streamproc.serving.selection import MemberPolicy
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import ScoringTask, Task

SACRIFICES: Final[Mapping[Profile, str]] = {
    "full": "All members are asked for all of a text.",
    "cascade": (
        "Members are asked one after another until those asked agree beyond a margin; a doubt "
        "that only the others would have raised is not heard."
    ),
    "trusted": (
        "Only the members with the largest say on a text are asked; one whose small say would "
        "have tipped the balance is not heard."
    ),
}
"""What each profile gives up, in a sentence."""


@dataclass(frozen=True, slots=True)
class TopicProfile:
    """brown_out: leaves members out while the topic's requests wait too long; None: nothing does"""

    name: Profile = "full"
    brown_out: BrownOut | None = None

    def policy(self, task: Task, spec: EnsembleSpec) -> MemberPolicy | None:
        """Which members a request asks that comes now; None: all.

        All where members write a text together, or validation data have not said how few will do.
        """
        if len(spec.members) < 2 or not isinstance(task, ScoringTask):
            return None
        if self.name == "cascade" and spec.cascade_margin is not None:
            return MemberPolicy("cascade", margin=spec.cascade_margin, limit=self.brown_out)
        if self.name == "trusted" and spec.trusted_share is not None:
            return MemberPolicy("trusted", share=spec.trusted_share, limit=self.brown_out)
        return None if self.brown_out is None else MemberPolicy(limit=self.brown_out)


FULL: Final = TopicProfile()
"""All members are asked for everything."""


def require_profile(profile: Profile, task: Task, spec: EnsembleSpec, where: str) -> None:
    """Raises ModelRefused where an ensemble can't be served by a profile that was asked for.

    where: what asks for it
    """
    if profile == "full":
        return
    if not isinstance(task, ScoringTask):
        raise ModelRefused(
            f"{where}: profile {profile}: members of {task.name} write every token together, so "
            "that all are asked; leave the profile out"
        )
    chosen = spec.cascade_margin if profile == "cascade" else spec.trusted_share
    if chosen is None:
        raise ModelRefused(
            f"{where}: profile {profile}: no validation data have said how few members of "
            f"{spec.name}, as they are, will do; streamproc profiles {spec.name} DATA --write"
        )
