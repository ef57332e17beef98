"""Events of an invented shop, written as other people's programs write JSON; and what came of them.

Nothing here knows how streamproc reads or writes: events are put together as text, and what comes
out is held against that text.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator

SENTENCES = (
    "It is wonderful, I love it!", "A terrible experience.", "Ada Lovelace sent it to London.",
    "The box arrived broken.", "Très bien 🙂, says \\u00c9mile.", "Quote: \\\"fine\\\".",
    "Line one.\\nLine two.", "路 \\ud83d\\ude42 ok.",
)  # fmt: skip
NUMBERS = ("1.10", "12345678901234567890123", "-0", "1E5", "0.1000", "9007199254740993", "1e400")
BLANKS = ("", " ", "\n  ", "\t")
_GERMAN = re.compile(r',"de":"(?:[^"\\]|\\.)*"')
_CLOSING = re.compile(r"[ \t\r\n]*\}[ \t\r\n]*$")


def shop_events(count: int, seed: int = 0) -> Iterator[bytes]:
    """So many events, the same for the same seed."""
    chance = random.Random(seed)
    for number in range(count):
        yield _event(chance, number).encode()


def _event(chance: random.Random, number: int) -> str:
    def blank() -> str:
        return chance.choice(BLANKS)

    def member(name: str, value: str) -> str:
        return f'"{name}"{blank()}:{blank()}{value}'

    def text() -> str:
        return '"' + " ".join(chance.choices(SENTENCES, k=chance.randint(1, 3))) + '"'

    lines = ",".join(
        "{" + member("text", text()) + "," + member("n", chance.choice(NUMBERS)) + blank() + "}"
        for _ in range(chance.choice((0, 0, 1)))
    )
    members = [
        member("number", str(number)),
        member("lang", chance.choice(('"en"', '"en"', '"de"', "null"))),
        member("price", chance.choice(NUMBERS)),
        member("price", chance.choice(NUMBERS)),
        member("title", text()),
        member("un\\u006bnown", "{" + member("deep", f"[1.0, {chance.choice(NUMBERS)},[ ]]") + "}"),
        member("lines", f"[{blank()}{lines}]"),
    ]
    if chance.random() < 0.9:
        members.append(member("body", chance.choice((text(), text(), "null", '""'))))
    chance.shuffle(members)
    return "{" + blank() + f"{blank()},{blank()}".join(members) + blank() + "}" + blank()


def differences(before: bytes, after: bytes) -> Iterator[str]:
    """Where an event that came out is not the one that went in with answers put in.

    The answers are those of the shipped example: `de` beside the text of each line, and `nlp` and
    `body_masked` as the last members.
    """
    event = json.loads(before, parse_int=str, parse_float=str)
    if event["lang"] != "en":
        if after != before:
            yield "an unmatched event was changed"
        return
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
    has_body = isinstance(event.get("body"), str)
    if set(answers) != ({"nlp", "body_masked"} if has_body else {"nlp"}):
        yield f"members put in are {sorted(answers)}"
    run = answers["nlp"]["run"]
    if run["failed"]:
        yield f"answers failed: {run['failed']}"
    if ("mood" in run["ok"]) is not has_body:
        yield f"a body or none, and the answers are {run['ok']}"
    found = answers["nlp"]["entities"].get("/body", ())
    masks = answers.get("body_masked", "").count("<PER>")
    if masks != sum(entity["entity_group"] == "PER" for entity in found):
        yield f"{masks} masks for {found}"
