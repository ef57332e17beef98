"""The verifier of `make chaos` sees what went wrong with an event of the shop, to the byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import pytest

from tests.chaos.asked import ID_HEADER, Asked, Told, Window
from tests.chaos.loads.shop import ENRICHED, EVENTS, LETTERS, Shop
from tests.chaos.loads.shop_events import shop_events, shop_records
from tests.chaos.table import is_good
from tests.chaos.verifier import Row, Verdict, judge
from tests.support.topics import Stored

EVENT = b'{"lang": "en", "title": "a", "lines": [], "n": 1.10, "body": "Ada came."}'
ANSWERS = (
    b',"nlp":{"mood":{},"entities":{"/title":[],"/body":[{"entity_group":"PER","word":"Ada",'
    b'"start":0,"end":3}]},"run":{"ok":["mood","entities"],"skipped":["german"],"failed":{},'
    b'"manifests":{"mood":"a","entities":"b"}}},"body_masked":"<PER> came."}'
)
CALM = Window("calm", 0, {})


def stored(value: bytes | None, offset: int = 0) -> Stored:
    headers = {"own": b"header", ID_HEADER: b"%d" % offset}
    return Stored((EVENTS, 0, offset), b"key", value, headers, 7)


def made_of(event: Stored, value: bytes | None, at: int = 0, topic: str = ENRICHED) -> Stored:
    place, partition, offset = event.position
    source = {"topic": place, "partition": str(partition), "offset": str(offset)}
    headers = {f"streamproc-source-{name}": said.encode() for name, said in source.items()}
    return replace(event, position=(topic, 0, at), value=value, headers=event.headers | headers)


def judged(went_in: Sequence[Stored], came_out: Sequence[Stored]) -> Verdict:
    asked = [Asked(str(one.position[2]), "key", *one.position) for one in went_in]
    told = Told(list(Shop.sources), [CALM], asked)
    return judge(told, [*went_in, *came_out])


def row(went_in: Sequence[Stored], came_out: Sequence[Stored]) -> Row:
    return judged(went_in, came_out).rows[0]


def test_events_that_came_out_as_they_should_are_good_and_counted_by_kind() -> None:
    went_in = [stored(EVENT), stored(b'{"lang": "de"}', 1), stored(None, 2), stored(b"{", 3)]
    came_out = [made_of(went_in[0], EVENT[:-1] + ANSWERS, at) for at in range(2)]
    came_out += [made_of(one, one.value, at) for at, one in enumerate(went_in[1:3], 2)]
    verdict = judged(went_in, [*came_out, made_of(went_in[3], b"{", topic=LETTERS)])

    kinds = {"enriched": 1, "unmatched": 1, "tombstone": 1, "dead letter": 1}
    assert verdict == Verdict(4, 4, [Row("calm", twice=1)], {EVENTS: kinds})
    assert is_good(verdict, [CALM], is_once=False)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"1.10", b"1.1", "bytes outside of the answers changed"),
        (b'"ok":["mood"', b'"ok":["moot"', "should be answered"),
        (b'"failed":{}', b'"failed":{"mood":"deadline"}', "answers failed"),
        (b'"start":0', b'"start":1', "no 'Ada' at 1 to 3"),
        (b"<PER> came.", b"Ada came.", "the masked text is 'Ada came.'"),
        (b'"body_masked"', b'"body"', "members put in are"),
        (b'"/title":[],', b"", "entities at ['/body']"),
    ],
)
def test_an_event_that_was_changed_or_answered_wrongly_is_seen(
    old: bytes, new: bytes, said: str
) -> None:
    event = stored(EVENT)
    right = EVENT[:-1] + ANSWERS
    assert old in right
    verdict = judged([event], [made_of(event, right.replace(old, new))])

    assert verdict.rows == [Row("calm", wrong=1)]
    assert said in verdict.first_wrong[0]
    assert not is_good(verdict, [CALM], is_once=False)


def test_an_event_that_comes_out_behind_a_later_one_of_its_key_is_seen() -> None:
    went_in = [stored(b'{"lang": "de"}', n) for n in range(3)]
    first, second, third = [made_of(one, one.value) for one in went_in]

    def misplaced(*came_out: Stored) -> int:
        lying = [replace(one, position=(ENRICHED, 0, n)) for n, one in enumerate(came_out)]
        return row(went_in, lying).misplaced

    assert misplaced(first, second, third) == 0
    # As after a crash: from where offsets were committed, once more.
    assert misplaced(first, second, first, second, third) == 0
    assert misplaced(first, third, second, third) == 1
    assert misplaced(third, first, second) == 2


def test_a_dead_letter_is_no_later_event_of_its_key() -> None:
    event, unreadable = stored(b'{"lang": "de"}'), stored(b"{", 1)
    came_out = [made_of(unreadable, b"{", topic=LETTERS), made_of(event, event.value)]
    assert row([event, unreadable], came_out) == Row("calm")


def test_what_is_lost_made_up_or_differs_is_seen() -> None:
    lost, twice = stored(None), stored(b'{"lang": "de"}', 1)
    right, strange = made_of(twice, twice.value), made_of(stored(None, 5), None, 1)

    assert row([lost, twice], [right, strange]) == Row("calm", lost=1, wrong=1)
    assert row([twice], [right, made_of(twice, b"{}", 1)]) == Row("calm", twice=1, wrong=1)
    assert row([twice], [made_of(twice, twice.value, topic=LETTERS)]) == Row("calm", wrong=1)
    assert row([stored(b"{", 2)], [made_of(stored(b"{", 2), b"{")]) == Row("calm", wrong=1)


def test_what_an_event_carries_beside_its_bytes_has_to_stay() -> None:
    event = stored(b'{"lang": "de"}')
    right = made_of(event, event.value)

    assert row([event], [replace(right, key=b"other")]) == Row("calm", misplaced=1)
    assert row([event], [replace(right, timestamp_ms=8)]) == Row("calm", wrong=1)
    without = {name: value for name, value in right.headers.items() if name != "own"}
    assert row([event], [replace(right, headers=without)]) == Row("calm", wrong=1)


def test_events_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    def first(seed: int) -> list[bytes | None]:
        return list(islice(shop_records(seed), 50))

    assert first(1) == first(1)
    assert list(islice(shop_events(1), 50)) != list(islice(shop_events(2), 50))
