"""Events of an invented shop through the shipped route: three answers and a masked text.

Among them are some that it leaves as they are, tombstones, and some that nobody can read.
"""

from __future__ import annotations

from pathlib import Path

from tests.chaos.asked import ID_HEADER, Source
from tests.chaos.loads.shop_events import shop_records
from tests.support.served import Served
from tests.support.shop_route import describe_route
from tests.support.topics import TEXT_CLASSIFICATION, Sent

EVENTS, ENRICHED, LETTERS = (f"chaos.reviews{kind}.v1" for kind in ("", ".enriched", ".dlq"))
KEYS = 97
"""Few enough that each has its order to keep."""


class Shop:
    """Events whose bytes outside of the answers have to stay as they are."""

    sources = (Source(EVENTS, "shop", ENRICHED, LETTERS),)
    # Events are held against what came of them, so they have to stay there.
    expendable = None
    a_second = 20.0

    def __init__(self, of: Served, seed: int) -> None:
        self._of = of
        self._events = shop_records(seed)

    def prepare(self, folder: Path) -> dict[str, str]:
        routes = describe_route(folder / "routes", "chaos")
        return {"TASKS": TEXT_CLASSIFICATION, "ROUTES_DIR": str(routes), **self._of.settings}

    def record(self, name: str, number: int, topic: str | None) -> Sent:
        headers = (("shop", b"invented"), ("empty", b""), (ID_HEADER, name.encode()))
        return Sent(next(self._events), topic or EVENTS, headers, b"%d" % (number % KEYS))
