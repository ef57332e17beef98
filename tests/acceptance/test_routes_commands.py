"""`streamproc routes`, as a user types it, with the shipped models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamproc.settings import read_settings
from tests.support.command import streamproc

pytestmark = pytest.mark.slow
EXAMPLES = read_settings().topics_dir / "examples" / "routes"
ROUTE, EVENTS = EXAMPLES / "shop-reviews.yaml", EXAMPLES / "shop-reviews.jsonl"


def test_try_shows_what_is_put_into_each_event() -> None:
    done = streamproc("routes", "try", ROUTE, EVENTS)

    assert done.returncode == 0, done.stderr
    assert "event 1 → shop.reviews.enriched.v1" in done.stdout
    assert '  + /body_masked: "<PER> sent it in two days.' in done.stdout
    assert "event 2: not all conditions hold, it goes on as it is" in done.stdout


def test_try_prints_events_that_are_the_same_to_the_byte_but_for_answers() -> None:
    done = streamproc("routes", "try", ROUTE, "-", "--json", stdin=EVENTS.read_text("utf-8"))

    before, after = EVENTS.read_text("utf-8").splitlines(), done.stdout.splitlines()
    assert after[1] == before[1]
    assert after[2].startswith(before[2].removesuffix("}"))
    assert json.loads(after[2])["nlp"]["mood"]["label"] == "negative"


def test_a_dry_try_says_what_would_be_asked() -> None:
    done = streamproc("routes", "try", ROUTE, EVENTS, "--dry")

    assert "event 1: 4 questions" in done.stdout
    assert "mood: sentiment, /body, 19 tokens" in done.stdout
    assert "event 2: 0 questions" in done.stdout
    assert "3 events: 7 questions, " in done.stdout
    assert "  translation-en-de: 1 question, 5 tokens" in done.stdout


def test_an_event_that_would_be_a_dead_letter_is_shown_with_the_reason(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text('{"a": NaN}\n', "utf-8")
    done = streamproc("routes", "try", ROUTE, events)

    assert done.returncode == 0
    assert "event 1 → shop.reviews.dlq.v1, a dead letter: not JSON" in done.stdout

    done = streamproc("routes", "try", ROUTE, events, "--json")
    assert done.stdout == ""
    assert "event 1 → shop.reviews.dlq.v1, a dead letter: not JSON" in done.stderr


def test_a_value_that_is_no_text_is_shown_with_its_place(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text('{"lang": "en", "title": "Nice", "body": 42}\n', "utf-8")
    done = streamproc("routes", "try", ROUTE, events)

    assert "  ! entities: /body: not a text: the value is no string" in done.stdout


def test_an_answer_that_finds_no_text_in_any_event_is_named_at_the_end(tmp_path: Path) -> None:
    route = tmp_path / "route.yaml"
    text = ROUTE.read_text("utf-8").replace("text: /body", "text: /bodi")
    route.write_text(text, "utf-8")
    asked = streamproc("routes", "try", route, EVENTS)
    dry = streamproc("routes", "try", route, EVENTS, "--dry")

    told = "mood asks nothing of these events; it looks for a text at /bodi\n"
    assert asked.stdout.endswith(told)
    assert dry.stdout.endswith(told)


def test_check_runs_the_examples(tmp_path: Path) -> None:
    same = streamproc("routes", "check", settings={"ROUTES_DIR": str(EXAMPLES)})
    for file in EXAMPLES.iterdir():
        text = file.read_text("utf-8")
        if file.name.endswith(".expected.json"):
            text = text.replace('"positive"', '"angry"')
        (tmp_path / file.name).write_text(text, "utf-8")
    other = streamproc("routes", "check", settings={"ROUTES_DIR": str(tmp_path)})

    assert (same.returncode, same.stdout) == (0, "shop-reviews: 1 example, no differences\n")
    assert other.returncode == 1
    assert '/nlp/mood/label is "positive", expected "angry"' in other.stdout


def test_an_ensemble_that_is_not_there_is_named(tmp_path: Path) -> None:
    route = tmp_path / "route.yaml"
    text = ROUTE.read_text("utf-8").replace("ensemble: sentiment", "ensemble: sentimant")
    route.write_text(text, "utf-8")
    done = streamproc("routes", "try", route, EVENTS)

    assert done.returncode == 2
    assert "no ensemble 'sentimant' for text-classification; did you mean 'sentiment'?" in (
        done.stderr
    )


def test_list_shows_routes() -> None:
    done = streamproc("routes", "list", settings={"ROUTES_DIR": str(EXAMPLES)})

    assert "shop-reviews  shop.reviews.v1" in done.stdout
