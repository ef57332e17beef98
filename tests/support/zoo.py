"""Bad inputs of every kind: files, folders, addresses and names that no command is meant for.

Each animal is a path in a folder, or a text. `never`: no command can do anything with it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

DEEP = 1_500
SUFFIXES = (".csv", ".jsonl.gz", ".parquet", ".txt", ".onnx")
HUGE_CHARACTERS = 1 << 18
GOOD_ROW = {"id": "a", "text": "good", "label": "positive"}

CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "blank": b"\n\n  \n",
    "bom": b"\xef\xbb\xbf",
    "bom-row": b"\xef\xbb\xbf" + json.dumps(GOOD_ROW).encode() + b"\n",
    "utf-16": json.dumps(GOOD_ROW).encode("utf-16"),
    "latin-1": '{"text": "caf\u00e9", "label": "positive"}\n'.encode("latin-1"),
    "binary": bytes(range(256)) * 8,
    "not-gzip": b"\x1f\x8b\x08\x00 this is no gzip",
    "cut-gzip": gzip.compress(json.dumps(GOOD_ROW).encode() * 200, mtime=0)[:-30],
    "huge-line": json.dumps({"text": "x" * HUGE_CHARACTERS, "label": "positive"}).encode(),
    "deep": b"[" * DEEP + b"]" * DEEP,
    "deep-field": b'{"text": "good", "label": "positive", "metadata": '
    + b"[" * DEEP
    + b"]" * DEEP
    + b"}\n",
    "surrogate": rb'{"text": "\ud83d", "label": "positive"}' + b"\n",
    "surrogate-label": rb'{"text": "good", "label": "\ud83d"}' + b"\n",
    "nul": b'{"text": "a\x00b", "label": "positive"}\n\x00',
    "escapes": b'{"text": "\x1b]0;title\x07", "label": "\x1b[2J"}\n',
    "label-escapes": rb'{"text": "good", "label": "\u001b[2J\u202e\n"}' + b"\n",
    "numbers": b"[1, 2, 3]\n",
    "huge-number": b'{"text": "good", "label": 1e999, "n": ' + b"9" * 5000 + b"}\n",
    "ragged": b'text,label\ngood\nbad,negative,more,"\n',
    "no-fields": b'{"other": 1}\n',
    "null-fields": b'{"id": null, "text": null, "label": null}\n',
    "lists": b'{"id": ["a"], "text": ["good"], "label": {"a": 1}}\n',
    "duplicate-keys": b'{"text": "good", "text": 1, "label": "positive"}\n',
    "yaml-bomb": b"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n",
    "yaml-tag": b"!!python/object/apply:os.system ['true']\n",
    "yaml-deep": b"[" * 1200,
    "toml-types": b'format = "2"\nname = 3\nmembers = 7\nrun = 1\n[arguments]\nensemble = []\n',
    "toml-broken": b'name = "tiny\n[[',
    "parquet": b"PAR1" + b"\x00" * 64 + b"PAR1",
}
"""What is in a file, whatever it is called."""

ANY_SUFFIX = ("empty", "binary", "not-gzip", "cut-gzip", "deep")
"""Contents that are tried under every suffix; the others under .jsonl alone."""

INSIDE = ("manifest.toml", "partition.toml", "run.toml", "config.json", "tokenizer.json")
"""Files that a folder is known by; a folder animal has a broken one of each."""

NAMES = (
    *("", " ", ".", "..", "../outside", "/etc", "a/b", "prefixes", "nonesuch", "x" * 300),
    *("\x1b[2J", "con\nfig", "\u202e", "na\u00efve", "\udcff", "%s{}", "[bold]"),
)
ADDRESSES = (
    *("", " ", ",", ",,", "notaport", "127.0.0.1", "127.0.0.1:", ":9092", "127.0.0.1:notaport"),
    *("127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:-1", "[::1", "a b:1", "http://127.0.0.1:9/x"),
    *("\x1b[2J:1", "x" * 300 + ":1", "127.0.0.1:1,", "\udcff:1", "127.0.0.1:٣"),
)


def make_zoo(folder: Path) -> dict[str, Path]:
    """Every file and folder that is an animal, by a name that says what is wrong with it.

    Those whose name begins with "folder-" hold broken files under the names that are looked for.
    """
    folder.mkdir()
    animals = dict(_files(folder)) | dict(_folders(folder))
    missing = folder / "missing.jsonl"
    dangling, loop = folder / "dangling.jsonl", folder / "loop.jsonl"
    dangling.symlink_to(folder / "nowhere")
    loop.symlink_to(loop)
    return animals | {
        "missing": missing,
        "below a file": animals["empty.jsonl"] / "x.jsonl",
        "dangling link": dangling,
        "link to itself": loop,
        "too long a name": folder / ("x" * 300 + ".jsonl"),
        "a device": Path("/dev/null"),
        "no name": Path(),
    }


NEVER = ("missing", "below a file", "dangling link", "link to itself", "too long a name")
"""Animals that no command can read anything from."""


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for name, content in CONTENTS.items():
        for suffix in (".jsonl", *(SUFFIXES if name in ANY_SUFFIX else ())):
            path = folder / f"{name}{suffix}"
            zipped = suffix.endswith(".gz") and "gzip" not in name
            path.write_bytes(gzip.compress(content) if zipped else content)
            yield path.name, path


def _folders(folder: Path) -> Iterator[tuple[str, Path]]:
    empty = folder / "folder.jsonl"
    empty.mkdir()
    yield "empty folder", empty
    for name, content in CONTENTS.items():
        if len(content) > 10 * DEEP:
            continue
        inside = folder / f"folder-{name}"
        # A folder of ensembles, of topics, of partitions, of a run, of a model: all of them.
        for place in (inside, inside / "tiny"):
            place.mkdir()
            for file in INSIDE:
                (place / file).write_bytes(content)
        (inside / "topic.yaml").write_bytes(content)
        (inside / "model.onnx").write_bytes(content)
        yield inside.name, inside


def tree_digest(folder: Path) -> dict[str, str]:
    """What lies in a folder, links by where they go, files by what is in them."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_dir():
            found[name] = "folder"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
