"""`streamproc gateway keys`: made, listed, revoked; and what a gateway refuses to start with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamproc.web.gateway.security.key_file import hashed, read_keys
from tests.support.in_process import run


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    file = str(tmp_path / "keys.toml")

    made = run("gateway", "keys", "add", "ann", "--keys-file", file, "--requests-per-minute", "5")
    run("gateway", "keys", "add", "bob", "--keys-file", file)
    listed = run("gateway", "keys", "list", "--keys-file", file, "--json")
    revoked = run("gateway", "keys", "revoke", "ann", "--keys-file", file)

    assert made.code == 0, made.err
    key = made.out.strip()
    assert key.startswith("spk_")
    found = json.loads(listed.out)
    assert [(one["name"], one["requests_per_minute"]) for one in found] == [
        ("ann", 5),
        ("bob", None),
    ]
    assert key not in listed.out
    assert hashed(key) not in listed.out
    assert revoked.code == 0
    assert [one.name for one in read_keys(tmp_path / "keys.toml")] == ["bob"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("keys", "add", "no/name", "--keys-file", "FILE"), "name"),
        (("keys", "revoke", "nobody", "--keys-file", "FILE"), "no key of nobody"),
        (("keys", "list"), "STREAMPROC_GATEWAY_KEYS_FILE"),
        (("--host", "::"), "gateway keys add"),
        (("--port", "http"), "STREAMPROC_GATEWAY_PORT"),
        (("--jwks", "FILE"), "JWT_AUDIENCE"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    file = str(tmp_path / "keys.toml")

    ended = run("gateway", *(file if one == "FILE" else one for one in arguments))

    assert ended.code == 2
    assert said in ended.err.replace("\n", " ")
    assert "Traceback" not in ended.said


def test_a_name_has_one_key(tmp_path: Path) -> None:
    file = str(tmp_path / "keys.toml")
    run("gateway", "keys", "add", "ann", "--keys-file", file)

    again = run("gateway", "keys", "add", "ann", "--keys-file", file)

    assert again.code == 2
    assert "revoke it first" in again.err
