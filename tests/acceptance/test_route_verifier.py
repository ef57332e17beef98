"""The verifier of routes sees what went wrong: the runs that kill workers lean on it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from tests.support.command import ROOT
from tests.support.route_verifier import judge_route
from tests.support.shop_events import shop_events, shop_records
from tests.support.topics import Stored

EVENT = b'{"lang": "en", "title": "a", "lines": [], "n": 1.10, "body": "Ada came."}'
ANSWERS = (
    b',"nlp":{"mood":{},"entities":{"/title":[],"/body":[{"entity_group":"PER","word":"Ada",'
    b'"start":0,"end":3}]},"run":{"ok":["mood","entities"],"skipped":["german"],"failed":{},'
    b'"manifests":{"mood":"a","entities":"b"}}},"body_masked":"<PER> came."}'
)


def stored(value: bytes | None, offset: int = 0) -> Stored:
    return Stored(("in", 0, offset), b"key", value, {"own": b"header"}, 7)


def made_of(event: Stored, value: bytes | None) -> Stored:
    topic, partition, offset = event.position
    source = {"topic": topic, "partition": str(partition), "offset": str(offset)}
    headers = {f"streamproc-source-{name}": said.encode() for name, said in source.items()}
    return replace(event, position=("out", 0, 9), value=value, headers=event.headers | headers)


def test_events_that_came_out_as_they_should_are_good_and_counted_by_kind() -> None:
    went_in = [stored(EVENT), stored(b'{"lang": "de"}', 1), stored(None, 2), stored(b"{", 3)]
    came_out = [made_of(went_in[0], EVENT[:-1] + ANSWERS)] * 2
    came_out += [made_of(one, one.value) for one in went_in[1:3]]
    verdict = judge_route(went_in, came_out, [made_of(went_in[3], b"{")])

    assert verdict.first_wrong == []
    assert verdict.good
    assert verdict.kinds == {"enriched": 1, "unmatched": 1, "tombstone": 1, "dead letter": 1}
    assert (verdict.events, verdict.duplicates) == (4, 1)


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
    verdict = judge_route([event], [made_of(event, right.replace(old, new))], [])

    assert (verdict.changed, verdict.good) == (1, False)
    assert said in verdict.first_wrong[0]


def test_an_event_that_comes_out_behind_a_later_one_of_its_key_is_seen() -> None:
    went_in = [stored(b'{"lang": "de"}', n) for n in range(3)]
    first, second, third = [made_of(one, one.value) for one in went_in]

    def overtaken(*came_out: Stored) -> int:
        lying = [replace(one, position=("out", 0, n)) for n, one in enumerate(came_out)]
        return judge_route(went_in, lying, []).overtaken

    assert overtaken(first, second, third) == 0
    # As after a crash: from where offsets were committed, once more.
    assert overtaken(first, second, first, second, third) == 0
    assert overtaken(first, third, second, third) == 1
    assert overtaken(third, first, second) == 2
    assert overtaken(replace(third, key=b"other"), first, second) == 0
    assert not judge_route(went_in[:2], [replace(second, position=("out", 0, 0)), first], []).good


def test_what_is_lost_made_up_or_differs_is_seen() -> None:
    lost, twice = stored(None), stored(b'{"lang": "de"}', 1)
    strange = made_of(stored(None, 5), None)
    verdict = judge_route([lost, twice], [made_of(twice, twice.value), strange], [])
    letter = judge_route([twice], [], [made_of(twice, twice.value)])
    unlike = judge_route([twice], [made_of(twice, twice.value), made_of(twice, b"{}")], [])
    moved = judge_route([twice], [replace(made_of(twice, twice.value), key=b"other")], [])

    assert (verdict.lost, verdict.strangers, verdict.changed) == (1, 1, 0)
    assert (letter.changed, unlike.unlike, moved.changed) == (1, 1, 1)
    assert not any(one.good for one in (verdict, letter, unlike, moved))


def test_the_verifier_imports_nothing_of_streamproc() -> None:
    names = "print([name for name in sys.modules if name.partition('.')[0] == 'streamproc'])"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, tests.support.route_verifier; {names}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout == "[]\n"


def test_events_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    assert list(shop_records(50, 1)) == list(shop_records(50, 1))
    assert list(shop_events(50, 1)) != list(shop_events(50, 2))
