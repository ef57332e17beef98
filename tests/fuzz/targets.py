"""What is fuzzed: functions that take bytes from anybody, and may raise only what they promise.

Each target also holds what has to be true of whatever it takes, so that a fuzzer finds more than
crashes. `make fuzz` runs them under atheris; the tests run them on the cases that were found, and
on what Hypothesis makes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice, pairwise
from typing import Final

import orjson

from streamproc.enrichment.json_event import JsonEvent
from streamproc.enrichment.redaction import Mask, masked
from streamproc.errors import Invalid, ModelRefused
from streamproc.kafka.decompression import NotDecompressed
from streamproc.kafka.record_batches import FetchedRecords
from streamproc.messages.json_spans import with_members
from streamproc.messages.record import Record
from streamproc.messages.request import read_request
from streamproc.repository.manifest import read_manifest
from streamproc.serving.chunking.clauses import pieces
from streamproc.serving.chunking.passages import passages
from streamproc.serving.chunking.sentences import Sentence, sentences
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window, windows
from streamproc.serving.inference.graph_inspection import inspect_graph
from streamproc.serving.tasks.entity_stitching import without_overlaps
from streamproc.testing import build_tokenizer
from streamproc.testing.generative import build_byte_tokenizer
from tests.support.record_batches import batch, with_checksum

Target = Callable[[bytes], None]

_WORDS: Final = build_tokenizer()
_BYTES: Final = build_byte_tokenizer()
_MAX_TOKENS: Final = 12
# Of a batch: base offset, length, leader's epoch, magic and checksum come first.
_HEADER_BYTES: Final = 21


def decode_request(data: bytes) -> None:
    """A record's value, plain or as a CloudEvent; its first bytes say with which headers."""
    forms = (
        (),
        (("content-type", b"application/cloudevents+json"),),
        (("ce_specversion", b"1.0"), ("ce_id", data[1:9]), ("ce_source", data[2:12])),
        (("streamproc-original-id", data[1:30]), ("reply-topic", data[1:20])),
    )
    headers = forms[data[0] % len(forms)] if data else ()
    read_request(Record("t", 0, 0, 0, data[:3], data[1:], headers), 1 << 20)


def read_batches(data: bytes) -> None:
    """A batch of records whose checksum is right, and in which anything may stand."""
    built = bytearray(batch([b"a", b"b", None]))
    at = _HEADER_BYTES + (data[0] if data else 0) % (len(built) - _HEADER_BYTES)
    built[at : at + len(data) - 1] = data[1:][: len(built) - at]
    fetched = FetchedRecords(with_checksum(bytes(built)))
    while fetched.has_next():
        found = fetched.next_batch()
        if found.validate_crc():
            with suppress(NotDecompressed):
                # One that is damaged may say that it has a million records, and each is told of.
                deque(islice(found, 1000), maxlen=0)


def cut_sentences(data: bytes) -> None:
    """Sentences lie one behind the other, and nothing that has a letter is between them."""
    text = _text(data)
    _hold_together(text, list(sentences(text)))


def cut_pieces(data: bytes) -> None:
    """Pieces of sentences fit, and lose nothing but blanks."""
    text = _text(data)
    for tokenizer in (_WORDS, _BYTES):
        ends = _token_ends(tokenizer)
        for sentence in sentences(text):
            found = list(pieces(text, sentence, ends, _MAX_TOKENS))
            _lose_only_blanks(text, found, sentence.start, sentence.end)


def cut_passages(data: bytes) -> None:
    """Passages lose nothing but blanks."""
    text = _text(data)
    for tokenizer in (_WORDS, _BYTES):
        ends = (tokens.offsets[:, 1].tolist() for tokens in tokenizer.stream(text))
        found = list(passages(text, ends, _token_ends(tokenizer), _MAX_TOKENS))
        _lose_only_blanks(text, found, 0, len(text))


def cut_windows(data: bytes) -> None:
    """Windows cover the text from its first character to its last without a gap.

    One without a token is refused, unless there are special tokens around it.
    """
    text = _text(data)
    for tokenizer in (_WORDS, _BYTES):
        window = Window(_MAX_TOKENS, 2)
        covered = 0
        if not tokenizer.frame.tokens and not any(map(len, tokenizer.stream(text))):
            _refuses_without_tokens(tokenizer, text, window)
            continue
        for chunk in windows(tokenizer.stream(text), tokenizer.frame, window, len(text)):
            _require(chunk.start <= covered <= chunk.end)
            covered = chunk.end
        _require(covered == len(text))


def _refuses_without_tokens(tokenizer: TextTokenizer, text: str, window: Window) -> None:
    try:
        list(windows(tokenizer.stream(text), tokenizer.frame, window, len(text)))
    except Invalid:
        return
    _require(False)


def stitch_entities(data: bytes) -> None:
    """Of entities that overlap one stays."""
    found = [
        {"start": start, "end": start + length, "score": 0.5}
        for start, length in zip(data[::2], data[1::2], strict=False)
    ]
    kept = without_overlaps(found)
    for before, after in pairwise(kept):
        _require(before["start"] <= after["start"])


def splice_event(data: bytes) -> None:
    """What is put into an event is in it, and all else is as it was."""
    try:
        event = JsonEvent(data)
        spliced = event.with_values({("put", "in"): b'{"a":1}'})
    except Invalid:
        return
    _require(next(JsonEvent(spliced).find(("put", "in"))).value == {"a": 1})


def splice_members(data: bytes) -> None:
    """A member that is set is set, in any object that a parser takes."""
    try:
        known = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    if isinstance(known, dict):
        _require(orjson.loads(with_members(data, {"id": b'"x"'})) == {**known, "id": "x"})


def mask_text(data: bytes) -> None:
    """Nothing of what a mask covers is left."""
    text = "x" * 100
    masks = [Mask(at, at + size, "*") for at, size in zip(data[::2], data[1::2], strict=False)]
    covered = {place for mask in masks for place in range(mask.start, min(mask.end, 100))}
    _require(masked(text, masks).count("x") == 100 - len(covered))


def read_manifests(data: bytes) -> None:
    """A manifest is read or refused in one line."""
    try:
        read_manifest(data, "manifest.toml")
    except ModelRefused as refused:
        _require("\x1b" not in str(refused))


def read_graphs(data: bytes) -> None:
    """A graph passes or is refused."""
    with suppress(ModelRefused):
        inspect_graph("m", data)


TARGETS: Final[Mapping[str, Target]] = {
    "requests": decode_request,
    "batches": read_batches,
    "sentences": cut_sentences,
    "pieces": cut_pieces,
    "passages": cut_passages,
    "windows": cut_windows,
    "entities": stitch_entities,
    "events": splice_event,
    "members": splice_members,
    "masks": mask_text,
    "manifests": read_manifests,
    "graphs": read_graphs,
}
"""By name, what a fuzzer calls with bytes of its own making."""


class Broken(AssertionError):
    """What has to be true is not."""


def _require(true: object) -> None:
    if not true:
        raise Broken


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _token_ends(tokenizer: TextTokenizer) -> Callable[[str], list[int]]:
    return lambda part: [int(end) for end in tokenizer.encode(part).offsets[:, 1]]


def _hold_together(text: str, found: list[Sentence]) -> None:
    at = 0
    for start, end in found:
        _require(at <= start < end <= len(text))
        at = end


def _lose_only_blanks(text: str, found: list[Sentence], start: int, end: int) -> None:
    at = start
    for piece in found:
        _require(at <= piece.start < piece.end <= end)
        _require(not text[at : piece.start].strip())
        at = piece.end
    _require(not text[at:end].strip())
