"""An event as the JSON text that it came as: values are read from it, and put into it by splicing.

What is not put in stays as it was, to the byte: order, blanks, escapes, members of the same name,
12345678901234567890 and 1.10. Parsing and writing again would change each of these somewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from json.decoder import JSONDecoder
from json.encoder import JSONEncoder
from typing import Any, Final, NoReturn, TypeVar

import orjson

from streamproc.enrichment.json_pointer import EVERY, INDEX, Path, format_pointer
from streamproc.errors import Invalid, Unreadable
from streamproc.messages.json_spans import (
    Span,
    all_member_spans,
    element_spans,
    value_end,
    value_start,
)
from streamproc.messages.record import Headers

_quoted: Final = JSONEncoder(ensure_ascii=False).encode
_KINDS: Final = {'"': "a string", "t": "true", "f": "false", "n": "null"}
"""What a value is that holds no others, by its first character."""
_MAX_INTEGER_DIGITS: Final = 4_000
_SURELY_FLAT: Final = 300
Result = TypeVar("Result")


class CannotPlace(Invalid):
    """A value can't be put where a pointer says, as what is there holds no members."""

    def __init__(self, path: Path, found: str) -> None:
        place = repr(format_pointer(path)) if path else "the event"
        super().__init__("no place for the answer", f"{place} is {found}")


@dataclass(frozen=True, slots=True)
class Found:
    """A value of an event; `path` has an index where the pointer had `*`."""

    path: Path
    value: Any


class JsonEvent:
    """A JSON text that was checked, and is addressed by pointers."""

    def __init__(self, text: bytes, root: Path = ()) -> None:
        """root: where pointers begin.

        Raises Unreadable for what is no JSON, or nested more deeply than it can be read.
        """
        self._text = _checked(text)
        self._root = root
        self._spans = _KnownSpans(self._text)

    def below(self, root: Path) -> JsonEvent:
        """The same event with pointers that begin at `root`, as at the data of a CloudEvent."""
        event = copy(self)
        event._root = (*self._root, *root)  # noqa: SLF001 - of the same class
        return event

    def find(self, path: Path) -> Iterator[Found]:
        """What lies at a path, in the order of the text; of members of one name the last."""
        for found, (start, _) in _places(self._spans, (*self._root, *path)):
            value, _ = _at(_VALUES.raw_decode, self._text, start)
            yield Found(found[len(self._root) :], value)

    def repeated_on(self, path: Path) -> Path | None:
        """See `Event`; the place is told from the root of the text."""
        whole = (*self._root, *path)
        for length, name in enumerate(whole):
            for _, (start, _) in _places(self._spans, whole[:length]):
                if self._spans.text[start] == "{" and name in self._spans.repeated(start):
                    return whole[: length + 1]
        return None

    def json_at(self, path: Path) -> bytes | None:
        """The JSON text of the value at a path without `*`; None where there is none."""
        for _, (start, end) in _places(self._spans, (*self._root, *path)):
            return self._text[start:end].encode()
        return None

    def headers(self, headers: Headers) -> Headers:
        """Those of the event once values are put in; see `Event`."""
        return headers

    def again(self, text: bytes) -> JsonEvent:
        """This event once values are put in; see `Event`."""
        return JsonEvent(text, self._root)

    def with_values(self, values: Mapping[Path, bytes]) -> bytes:
        """The text with values, JSON texts too, put in or put in the place of what was there.

        Objects that a path leads through are made where they are lacking, or null. In an array an
        index, or `-` for one more element, is a place.
        Raises CannotPlace where a path leads through a value that holds no members.
        """
        tree = _Tree()
        for path, value in values.items():
            tree.put((*self._root, *path), value)
        edits = sorted(_edits(self._spans, value_start(self._text), tree, ()))
        pieces, at = [], 0
        for start, end, text in edits:
            pieces += [self._text[at:start], text]
            at = end
        return "".join((*pieces, self._text[at:])).encode()


class _KnownSpans:
    """Where members and elements lie in a text, looked for once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._members: dict[int, dict[str, Span]] = {}
        self._repeated: dict[int, frozenset[str]] = {}
        self._elements: dict[int, list[Span]] = {}

    def members(self, start: int) -> dict[str, Span]:
        """Of the object at `start`; of members of one name the last."""
        if start not in self._members:
            every = _at(all_member_spans, self.text, start)
            last = self._members[start] = dict(every)
            if len(last) < len(every):
                count = Counter(name for name, _ in every)
                self._repeated[start] = frozenset(name for name in last if count[name] > 1)
        return self._members[start]

    def repeated(self, start: int) -> frozenset[str]:
        """The names that more than one member of the object at `start` has."""
        self.members(start)
        return self._repeated.get(start, frozenset())

    def elements(self, start: int) -> list[Span]:
        """Of the array at `start`."""
        if start not in self._elements:
            self._elements[start] = _at(element_spans, self.text, start)
        return self._elements[start]


@dataclass(slots=True)
class _Tree:
    """Values by path, so that two that lack the same object are put into one."""

    value: str | None = None
    members: dict[str, _Tree] = field(default_factory=dict)

    def put(self, path: Path, value: bytes) -> None:
        at = self
        for token in path:
            at = at.members.setdefault(token, _Tree())
        at.value = value.decode()

    def text(self) -> str:
        if self.value is not None:
            return self.value
        inner = (f"{_quoted(name)}:{tree.text()}" for name, tree in self.members.items())
        return "{" + ",".join(inner) + "}"


def _edits(
    known: _KnownSpans, start: int, tree: _Tree, path: Path
) -> Iterator[tuple[int, int, str]]:
    """Start and end of what is replaced in the value at `start`, and by what."""
    opening = known.text[start]
    # A member that is null counts as one that is absent.
    if tree.value is not None or (opening == "n" and path):
        yield start, _at(value_end, known.text, start), tree.text()
        return
    if opening == "{":
        there = known.members(start)
        ends = [end for _, end in there.values()]
        lacking = []
        for name, inner in tree.members.items():
            if name in there:
                yield from _edits(known, there[name][0], inner, (*path, name))
            else:
                lacking.append(f"{_quoted(name)}:{inner.text()}")
    elif opening == "[":
        elements = known.elements(start)
        ends = [end for _, end in elements]
        lacking = []
        for name, inner in tree.members.items():
            if name == "-":
                lacking.append(inner.text())
            elif INDEX.fullmatch(name) and int(name) < len(elements):
                yield from _edits(known, elements[int(name)][0], inner, (*path, name))
            else:
                raise CannotPlace(path, f"an array of length {len(elements)}, without {name!r}")
    else:
        kind = _KINDS.get(opening, "a number")
        raise CannotPlace(path, f"{kind}, not an object")
    if lacking:
        # Behind the last member, before the blanks that follow it.
        end = max(ends, default=start + 1)
        yield end, end, ("," if ends else "") + ",".join(lacking)


def _places(known: _KnownSpans, path: Path) -> Iterator[tuple[Path, Span]]:
    """Where the values lie that a path leads to."""
    start = value_start(known.text)
    found: list[tuple[Path, Span]] = [((), (start, len(known.text.rstrip(" \t\r\n"))))]
    for token in path:
        found = [step for place, (at, _) in found for step in _steps(known, at, place, token)]
    yield from found


def _steps(known: _KnownSpans, start: int, place: Path, token: str) -> Iterator[tuple[Path, Span]]:
    if known.text[start] == "{" and token != EVERY:
        span = known.members(start).get(token)
        if span is not None:
            yield (*place, token), span
    elif known.text[start] == "[":
        elements = known.elements(start)
        if token == EVERY:
            yield from (((*place, str(index)), span) for index, span in enumerate(elements))
        elif INDEX.fullmatch(token) and int(token) < len(elements):
            yield (*place, token), elements[int(token)]


def _checked(text: bytes) -> str:
    """The text, if it is JSON by RFC 8259, whatever size its numbers have; raises Unreadable."""
    if _is_plain_json(text):
        return text.decode()
    try:
        written = text.decode()
        _at(_CHECKER.decode, written)
    except UnicodeDecodeError:
        raise Unreadable("not JSON", "the event is not UTF-8") from None
    except ValueError as error:
        raise Unreadable("not JSON", str(error)) from None
    return written


def _is_plain_json(text: bytes) -> bool:
    """Whether the quick parser takes it: no 1e400 and no lone surrogate, which JSON may have.

    What may be nested more deeply than the decoder recurses is left to that.
    """
    if text.count(b"[") + text.count(b"{") > _SURELY_FLAT:
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _at(read: Callable[..., Result], *arguments: Any) -> Result:
    """What the decoder reads; raises Unreadable where it would recurse too deeply."""
    try:
        return read(*arguments)
    except RecursionError:
        raise Unreadable("nested too deeply", "the event is nested too deeply to be read") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_CHECKER: Final = JSONDecoder(parse_int=float, parse_constant=_refuse_constant)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < _MAX_INTEGER_DIGITS else float(digits)


_VALUES: Final = JSONDecoder(parse_int=_integer)
