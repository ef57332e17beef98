"""How few members will do: what each profile costs on validation data, and how that is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from streamproc.repository.manifest import ProfilesSection
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.brown_out import BrownOut
from streamproc.serving.profiles import TopicProfile

# From hardly sure to certain; between neighbours the members that are asked differ little.
MARGINS: Final = (
    *(round(0.05 * step, 2) for step in range(20)),
    *(0.96, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999),
)
SHARES: Final = tuple(round(0.05 * step, 2) for step in range(7, 20))
COST: Final = 0.005
"""Of the first metric, what a profile may cost at most unless it is said otherwise."""

Value = Callable[[StoredEnsemble, TopicProfile], float]
"""How good an ensemble is by a profile; more is better."""


def chosen_profiles(stored: StoredEnsemble, value: Value, cost: float) -> StoredEnsemble:
    """The ensemble with the least margin and share that cost at most `cost` against all members.

    One is None where even its largest costs more.
    """
    plain = with_profiles(stored, ProfilesSection())
    least = value(plain, TopicProfile()) - cost

    def is_enough(profile: TopicProfile, section: ProfilesSection) -> bool:
        return value(with_profiles(stored, section), profile) >= least

    margin = _least(
        MARGINS,
        lambda one: is_enough(TopicProfile("cascade"), ProfilesSection(cascade_margin=one)),
    )
    share = None
    if stored.manifest.combine.strategy in {"gated", "weighted"}:
        share = _least(
            SHARES,
            lambda one: is_enough(TopicProfile("trusted"), ProfilesSection(trusted_share=one)),
        )
    return with_profiles(stored, ProfilesSection(cascade_margin=margin, trusted_share=share))


def profiles_to_measure(stored: StoredEnsemble) -> list[TopicProfile]:
    """All that the ensemble can be served by, `full` first, and each step of a brown-out."""
    section = stored.manifest.profiles
    found = [TopicProfile()]
    if section.cascade_margin is not None:
        found.append(TopicProfile("cascade"))
    if section.trusted_share is not None:
        found.append(TopicProfile("trusted"))
    return found + [
        TopicProfile(brown_out=BrownOut(objective_s=1, left_out=out))
        for out in range(1, len(stored.manifest.members))
    ]


def with_profiles(stored: StoredEnsemble, section: ProfilesSection) -> StoredEnsemble:
    """The ensemble with another section of profiles, chosen for its members as they are."""
    manifest = stored.manifest
    own = section.model_copy(update={"chosen_for": manifest.ensembling_digest})
    return replace(stored, manifest=manifest.model_copy(update={"profiles": own}))


def _least(numbers: Sequence[float], is_enough: Callable[[float], bool]) -> float | None:
    """The least from which on all larger ones are enough, too; None: not even the largest is.

    One below which luck alone would have to help is not taken.
    """
    found = None
    for number in reversed(numbers):
        if not is_enough(number):
            break
        found = number
    return found
