"""Which arm of an experiment a request belongs to: by a hash of its key, so that it stays there.

Weighted rendezvous hashing (Schindelhauer and Schomaker 2005): every arm draws a number of the
key, and the lowest one in proportion to its weight wins. A change of one weight moves keys to or
from that arm, and none between the others.
"""

from __future__ import annotations

import math
from hashlib import blake2b

from streamproc.messages.experiment import Arm, Experiment


def unit_of(experiment: Experiment, key: bytes | None, request_id: str) -> str:
    """What is assigned to an arm as a whole: a digest of the record's key, or without one, the id.

    It holds the experiment's name, so that the arms of two experiments do not go together.
    """
    own = b"k" + key if key is not None else b"i" + request_id.encode("utf-8", "surrogatepass")
    return blake2b(experiment.name.encode() + b"\0" + own, digest_size=8).hexdigest()


def answering_arm(experiment: Experiment, unit: str) -> Arm:
    """The arm that answers the requests of a unit."""
    return min(experiment.answering, key=lambda arm: -math.log(_drawn(unit, arm)) / arm.weight)


def shadow_arms(experiment: Experiment, unit: str) -> list[Arm]:
    """The arms that are asked beside it."""
    return [arm for arm in experiment.shadows if _drawn(unit, arm) <= arm.weight]


def _drawn(unit: str, arm: Arm) -> float:
    """Above 0 and at most 1, evenly, and the same each time."""
    digest = blake2b(f"{unit}\0{arm.name}".encode(), digest_size=7).digest()
    return (int.from_bytes(digest) % 2**53 + 1) / 2**53
