"""Events of an invented shop, written as other people's programs write JSON.

Nothing here knows how streamproc reads or writes: events are put together as text.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

SENTENCES = (
    "It is wonderful, I love it!", "A terrible experience.", "Ada Lovelace sent it to London.",
    "The box arrived broken.", "Très bien 🙂, says \\u00c9mile.", "Quote: \\\"fine\\\".",
    "Line one.\\nLine two.", "路 \\ud83d\\ude42 ok.",
    "Grace Hopper \\/ Berlin 👩🏽\u200d🚀 asked again.",
)  # fmt: skip
NUMBERS = (
    "1.10", "12345678901234567890123", "-0", "1E5", "0.1000", "9007199254740993", "1e400",
    "-12.50", "0e-7", "18446744073709551616",
)  # fmt: skip
BLANKS = ("", " ", "\n  ", "\t")
NAMES = ("deep", "\\u0064eep2", "", 'with \\"quotes\\"', "a/b~c", "日本", "🙂")
UNREADABLE = (b'{"body": NaN}', b'{"body": "half a', b"\xff\xfe{}", b"", b'{"lang":"en"}}')


def shop_events(seed: int) -> Iterator[bytes]:
    """Events without an end, the same for the same seed."""
    chance = random.Random(seed)
    for number in count():
        yield _event(chance, number).encode()


def shop_records(seed: int) -> Iterator[bytes | None]:
    """Events, and among a hundred of them one that nobody can read, and one that is no more."""
    chance = random.Random(f"records of {seed}")
    for event in shop_events(seed):
        kind = chance.randrange(100)
        if kind == 0:
            yield chance.choice(UNREADABLE)
        elif kind == 1:
            yield None
        else:
            yield event


def _event(chance: random.Random, number: int) -> str:
    def blank() -> str:
        return chance.choice(BLANKS)

    def member(name: str, value: str) -> str:
        return f'"{name}"{blank()}:{blank()}{value}'

    def text() -> str:
        return '"' + " ".join(chance.choices(SENTENCES, k=chance.randint(1, 3))) + '"'

    def nested(depth: int) -> str:
        kind = chance.randrange(4) if depth else 0
        if kind == 0:
            return chance.choice((*NUMBERS, "true", "null", text()))
        if kind == 1:
            inner = (nested(depth - 1) for _ in range(chance.randint(0, 3)))
            return "[" + blank() + f"{blank()},".join(inner) + "]"
        members = (member(chance.choice(NAMES), nested(depth - 1)) for _ in range(kind))
        return "{" + f",{blank()}".join(members) + blank() + "}"

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
        member("customer", nested(4)),
        member("lines", f"[{blank()}{lines}]"),
    ]
    if chance.random() < 0.9:
        members.append(member("body", chance.choice((text(), text(), "null", '""'))))
    chance.shuffle(members)
    return "{" + blank() + f"{blank()},{blank()}".join(members) + blank() + "}" + blank()
