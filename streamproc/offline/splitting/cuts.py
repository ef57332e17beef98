"""Where to cut a row of steps into stages: even in weight, and handing on little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamproc.errors import ModelRefused

# How much larger than it need be the largest stage may be, where less is handed on then, and how
# small a stage may be, as a share of an even one.
_SLACK, _SMALLEST = 1.2, 0.5

Weights = Mapping[str, int]
"""Bytes by name: what two steps of one stage both use is there once."""


def choose_cuts(
    weights: Sequence[Weights], boundary_bytes: Sequence[int | None], stages: int
) -> list[int]:
    """Before which steps to cut, ascending, one fewer than stages.

    weights: what each step uses
    boundary_bytes: before each step, the bytes that earlier ones hand on; None where no cut may be
    Of all ways with stages hardly larger than the largest one need be, the way that hands on least,
    then the most even one, then the one that cuts first.
    Raises ModelRefused where there are not as many places to cut at.
    """
    ends = _places(weights, boundary_bytes)
    pieces = [
        _together(weights[first:last])
        for first, last in zip([0, *ends], [*ends, len(weights)], strict=True)
    ]
    if stages > len(pieces):
        most = f"into {len(pieces)} stages at most" if ends else "nowhere"
        raise ModelRefused(
            f"it can be cut {most}: a stage needs weights of its own, and what it hands on must be "
            "of a type that ONNX can tell"
        )
    largest = int(_SLACK * _smallest_largest(pieces, stages))
    least = int(_SMALLEST * sum(_together(pieces).values()) / stages)
    costs = [boundary_bytes[end] or 0 for end in ends]
    found = _cheapest(pieces, costs, stages, least, largest) or _cheapest(
        pieces, costs, stages, 0, largest
    )
    if found is None:
        raise AssertionError("stages that fit, and no way to them")
    return [ends[cut] for cut in found]


def _places(weights: Sequence[Weights], boundary_bytes: Sequence[int | None]) -> list[int]:
    """Between two steps with weights the place that hands on least, the first of several."""
    places: list[int] = []
    best: tuple[int, int] | None = None
    begun = False
    for at, own in enumerate(weights):
        handed = boundary_bytes[at]
        if begun and handed is not None and (best is None or handed < best[0]):
            best = handed, at
        if own and best is not None:
            places.append(best[1])
        if own:
            begun, best = True, None
    return places


def _together(parts: Sequence[Weights]) -> dict[str, int]:
    return {name: size for part in parts for name, size in part.items()}


def _smallest_largest(pieces: Sequence[Weights], stages: int) -> int:
    """How large the largest of so many stages must be at least."""
    low, high = 0, sum(_together(pieces).values())
    while low < high:
        middle = (low + high) // 2
        if _fits(pieces, stages, middle):
            high = middle
        else:
            low = middle + 1
    return low


def _fits(pieces: Sequence[Weights], stages: int, most: int) -> bool:
    """Whether so many stages do where none may be larger than `most`."""
    used, needed, size = set[str](), 1, 0
    for piece in pieces:
        added = sum(own for name, own in piece.items() if name not in used)
        if size + added > most:
            used, needed, added, size = set(), needed + 1, sum(piece.values()), 0
        used.update(piece)
        size += added
        if size > most or needed > stages:
            return False
    return True


_Cost = tuple[int, int]


def _cheapest(
    pieces: Sequence[Weights], costs: Sequence[int], stages: int, least: int, most: int
) -> list[int] | None:
    """Behind which pieces to cut; None where no way has stages of `least` to `most` bytes.

    costs: of cutting behind each piece but the last

    A way's cost is what it hands on, and then the squares of its stages' sizes.
    """
    sizes = _sizes(pieces, least, most)
    # By the number of stages so far and the piece they end with: the cost, and the way there.
    ways: dict[int, tuple[_Cost, list[int]]] = {
        last: ((0, size**2), []) for last, size in sizes[0].items()
    }
    for _ in range(stages - 1):
        longer: dict[int, tuple[_Cost, list[int]]] = {}
        for end, ((handed, squares), cuts) in sorted(ways.items()):
            if end + 1 == len(pieces):
                continue
            for last, size in sizes[end + 1].items():
                cost = handed + costs[end], squares + size**2
                if last not in longer or cost < longer[last][0]:
                    longer[last] = cost, [*cuts, end]
        ways = longer
    found = ways.get(len(pieces) - 1)
    return found[1] if found else None


def _sizes(pieces: Sequence[Weights], least: int, most: int) -> list[dict[int, int]]:
    """For each piece that a stage begins with, by the piece it ends with, the stage's size."""
    found: list[dict[int, int]] = []
    for first in range(len(pieces)):
        used, size = set[str](), 0
        ends: dict[int, int] = {}
        for last in range(first, len(pieces)):
            size += sum(own for name, own in pieces[last].items() if name not in used)
            used.update(pieces[last])
            if size > most:
                break
            if size >= least:
                ends[last] = size
        found.append(ends)
    return found
