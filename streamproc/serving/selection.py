"""Which members are asked for a chunk, where not all of them have to be.

Members are asked in rounds, those with the largest say first. A `cascade` stops once those asked
choose the same and are sure enough of it; `trusted` asks the fewest that hold a share of the say;
a `brown-out` asks a number of them. Where one that is asked has no result, all others are asked, so
that an ensemble needs no fewer members than it ever does.

Source of the cascade: Wang et al. 2020, "Wisdom of Committees: An Overlooked Approach To Faster and
More Accurate Models" (arXiv:2012.01988), here over the members of one ensemble.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from streamproc.profile import FewerMembers
from streamproc.types import FloatArray

Scores = Mapping[int, FloatArray | None]
"""What members said of a chunk, by number; None: one that was asked has no result."""


class Limit(Protocol):
    """How many members are left out at the moment."""

    @property
    def left_out(self) -> int: ...


@dataclass(slots=True)
class MemberPolicy:
    """How members are selected for all chunks of one request.

    profile: the one that is in force unless members are left out; None: all are asked
    margin: by how much the likeliest label must lead for a cascade to stop, 0 to 1
    share:  of the say, that those who are trusted hold together, 0 to 1
    limit:  a brown-out, looked at as each chunk's batch begins: what waited long is what it is for
    was_limited: whether it has left a member out
    """

    profile: FewerMembers | None = None
    margin: float | None = None
    share: float | None = None
    limit: Limit | None = None
    was_limited: bool = False

    @property
    def applied(self) -> FewerMembers | None:
        """What a member was left out by, if one was."""
        return "brown-out" if self.was_limited else self.profile


@dataclass(slots=True, eq=False)
class Selection:
    """Of one chunk.

    policy: of its request
    order: all members, by number, in the order in which they are asked
    first: how many of them are asked to begin with
    is_enough: whether what these said settles it; None: whatever they say does
    """

    policy: MemberPolicy
    order: Sequence[int]
    first: int
    is_enough: Callable[[Mapping[int, FloatArray]], bool] | None = None

    def next_round(self, said: Scores) -> Sequence[int]:
        """The members to ask now; none where those asked are enough."""
        rest = [member for member in self.order if member not in said]
        if not said:
            return rest[: self._limited() or self.first]
        known = {member: scores for member, scores in said.items() if scores is not None}
        if len(known) < len(said):
            return rest
        if self.is_enough is None or not rest or self.is_enough(known):
            return ()
        return rest[:1]

    def _limited(self) -> int | None:
        """How many are asked as there is a brown-out now; None: there is none."""
        limit = self.policy.limit
        if limit is None or not limit.left_out:
            return None
        self.policy.was_limited = True
        self.is_enough = None
        return max(1, len(self.order) - limit.left_out)


def select(
    policy: MemberPolicy,
    weights: FloatArray,
    is_settled: Callable[[Mapping[int, FloatArray], float], bool],
) -> Selection:
    """The selection for one chunk.

    weights: (members,) each one's say on it
    is_settled: whether what members said leaves a margin at least so large
    """
    # Of equals the first in the manifest, whatever the platform's sort would do.
    order = np.argsort(-weights, kind="stable").tolist()
    if policy.margin is not None:
        margin = policy.margin
        return Selection(policy, order, 1, lambda said: is_settled(said, margin))
    if policy.share is not None:
        held = np.cumsum(weights[order]) / weights.sum()
        # Rounding must not ask for one more where the shares add up to the one that is wanted.
        return Selection(policy, order, int(np.searchsorted(held, policy.share - 1e-9)) + 1)
    return Selection(policy, order, len(order))


def replayed(selection: Selection, known: Scores) -> dict[int, FloatArray | None]:
    """What a selection would have been told, where what all members say is known already."""
    said: dict[int, FloatArray | None] = {}
    while asked := selection.next_round(said):
        said |= {member: known[member] for member in asked}
    return said
