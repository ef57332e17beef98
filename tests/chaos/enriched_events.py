"""Whether an event is the one that went in, with the answers of the shipped route.

Knows nothing of how streamproc reads or writes: bytes are held against bytes, and answers against
the texts that they are about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

_GERMAN = re.compile(r',"de":"(?:[^"\\]|\\.)*"')
_CLOSING = re.compile(r"[ \t\r\n]*\}[ \t\r\n]*$")


def readable(event: bytes) -> bool:
    """Whether it is JSON by RFC 8259."""
    try:
        json.loads(event.decode(), parse_constant=_refuse, parse_int=str)
    except ValueError:
        return False
    return True


def is_enriched(event: bytes) -> bool:
    """Whether the shipped route asks about it."""
    return bool(json.loads(event, parse_int=str, parse_float=str)["lang"] == "en")


def differences(before: bytes, after: bytes) -> Iterator[str]:
    """Where an event is not the one that went in with answers put in.

    The answers are those of the shipped example: `de` beside the text of each line, and `nlp` and
    `body_masked` as the last members.
    """
    event = json.loads(before, parse_int=str, parse_float=str)
    went_in, came_out = before.decode(), after.decode()
    closing = _CLOSING.search(went_in)
    assert closing is not None
    kept, added = _GERMAN.subn("", came_out)
    if added != len(event["lines"]):
        yield f"{added} of {len(event['lines'])} lines have a translation"
    if not kept.startswith(went_in[: closing.start()]) or not kept.endswith(closing[0]):
        yield "bytes outside of the answers changed"
        return
    put_in = kept[closing.start() : len(kept) - len(closing[0])]
    answers = json.loads("{" + put_in.removeprefix(",") + "}")
    yield from _wrong_answers(event, answers)


def _wrong_answers(event: dict[str, Any], answers: dict[str, Any]) -> Iterator[str]:
    body = event.get("body")
    has_body = isinstance(body, str)
    if set(answers) != ({"nlp", "body_masked"} if has_body else {"nlp"}):
        yield f"members put in are {sorted(answers)}"
        return
    run, found = answers["nlp"]["run"], answers["nlp"]["entities"]
    if run["failed"]:
        yield f"answers failed: {run['failed']}"
    asked = {"mood": has_body, "entities": True, "german": bool(event["lines"])}
    ok = [name for name, is_asked in asked.items() if is_asked]
    skipped = [name for name, is_asked in asked.items() if not is_asked]
    if (run["ok"], run["skipped"]) != (ok, skipped) or set(run["manifests"]) != set(ok):
        yield f"{ok} should be answered and {skipped} skipped, and the event says {run}"
    if ("mood" in answers["nlp"]) is not has_body:
        yield f"a body or none, and the mood is {answers['nlp'].get('mood')}"
    texts = {f"/{name}": event[name] for name in ("title", "body") if event.get(name) is not None}
    if found.keys() != texts.keys():
        yield f"texts at {sorted(texts)}, entities at {sorted(found)}"
        return
    for place, text in texts.items():
        for entity in found[place]:
            if text[entity["start"] : entity["end"]] != entity["word"]:
                yield f"{place}: no {entity['word']!r} at {entity['start']} to {entity['end']}"
    if has_body and answers["body_masked"] != _masked(str(body), found["/body"]):
        yield f"the masked text is {answers['body_masked']!r} for {found['/body']}"


def _masked(text: str, entities: list[dict[str, Any]]) -> str:
    """The simplest way to mask people: from the end, so that offsets stay right."""
    people = [entity for entity in entities if entity["entity_group"] == "PER"]
    for entity in sorted(people, key=lambda one: -int(one["start"])):
        text = text[: entity["start"]] + "<PER>" + text[entity["end"] :]
    return text


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
