"""Signatures over manifests: whose are taken, of what, and what is refused without them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import ModelRefused, SettingsError
from streamproc.repository.changes import copy_ensemble
from streamproc.repository.repository import MANIFEST, Repository
from streamproc.repository.signatures import SIGNATURE, TrustedKeys
from streamproc.repository.signing import read_private_key, sign
from tests.support.onnx_models import write_ensemble
from tests.support.signing_keys import KINDS, KeyPair, key_pair, no_passphrase

MODEL = b"the bytes of a model"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_ensemble(tmp_path / "models" / "tiny", [MODEL])
    return tmp_path / "models"


@pytest.fixture
def ours(tmp_path: Path) -> KeyPair:
    return key_pair(tmp_path / "keys")


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_trusted_key_has_signed_is_opened(models: Path, tmp_path: Path, kind: str) -> None:
    key = key_pair(tmp_path, kind=kind)
    key.sign(models, "tiny")

    opened = Repository(models, key.trusted).open("tiny")

    assert opened == Repository(models).open("tiny")
    opened.verify()


def test_what_is_not_signed_is_refused_with_what_to_do(models: Path, ours: KeyPair) -> None:
    with pytest.raises(ModelRefused) as refused:
        Repository(models, ours.trusted).open("tiny")
    assert str(refused.value) == (
        f"{models / 'tiny'} is not signed: it has no manifest.toml.sig, and STREAMPROC_MODEL_KEY "
        "asks for one; sign it (`streamproc models sign`), or get the file with the others"
    )
    Repository(models).open("tiny")


@pytest.mark.parametrize("kind", KINDS)
def test_what_another_key_has_signed_is_refused(
    models: Path, tmp_path: Path, ours: KeyPair, kind: str
) -> None:
    key_pair(tmp_path, "theirs", kind).sign(models, "tiny")
    named = re.escape(f"not signed by a key of {ours.public} (STREAMPROC_MODEL_KEY)")
    with pytest.raises(ModelRefused, match=f"{named}: .* another key has signed it"):
        Repository(models, ours.trusted).open("tiny")


def test_a_manifest_that_was_changed_is_refused_before_it_is_read(
    models: Path, ours: KeyPair
) -> None:
    ours.sign(models, "tiny")
    (models / "tiny" / MANIFEST).write_text("[[[ no TOML")
    with pytest.raises(ModelRefused, match="it was changed after it was signed"):
        Repository(models, ours.trusted).open("tiny")


@pytest.mark.parametrize("file", ["m0.onnx", "tokenizer.json"])
def test_a_file_that_was_changed_is_refused_by_the_digest_that_was_signed(
    models: Path, ours: KeyPair, file: str
) -> None:
    ours.sign(models, "tiny")
    (models / "tiny" / file).write_bytes(b"other bytes")
    with pytest.raises(ModelRefused, match=f"{file} is not the file the manifest names"):
        Repository(models, ours.trusted).open("tiny").verify()


def test_files_that_differ_from_the_manifest_are_not_signed(models: Path, ours: KeyPair) -> None:
    (models / "tiny" / "m0.onnx").write_bytes(b"other bytes")
    with pytest.raises(ModelRefused, match="is not the file the manifest names"):
        ours.sign(models, "tiny")
    assert not (models / "tiny" / SIGNATURE).exists()


def test_a_manifest_that_was_changed_since_it_was_read_is_not_signed(
    models: Path, ours: KeyPair
) -> None:
    stored = Repository(models).open("tiny")
    with (models / "tiny" / MANIFEST).open("a") as manifest:
        manifest.write("# changed\n")
    with pytest.raises(ModelRefused, match="was changed by another process meanwhile"):
        sign(stored, read_private_key(ours.private, no_passphrase))
    assert not (models / "tiny" / SIGNATURE).exists()


def test_any_of_several_trusted_keys_will_do(models: Path, tmp_path: Path) -> None:
    pairs = [key_pair(tmp_path, f"key-{number}", kind) for number, kind in enumerate(KINDS)]
    both = tmp_path / "both.pem"
    both.write_text(
        "# the old one, and the new one\n" + "".join(p.public.read_text() for p in pairs)
    )
    for pair in pairs:
        pair.sign(models, "tiny")
        Repository(models, TrustedKeys.read(both)).open("tiny")
    key_pair(tmp_path, "theirs").sign(models, "tiny")
    with pytest.raises(ModelRefused, match=r"not signed by a key of .*both\.pem"):
        Repository(models, TrustedKeys.read(both)).open("tiny")


def test_a_copy_is_signed_until_it_is_changed(models: Path, ours: KeyPair) -> None:
    ours.sign(models, "tiny")
    copy_ensemble(Repository(models).open("tiny"), "tiny@2")
    assert Repository(models, ours.trusted).open("tiny@2").version == "2"

    with (models / "tiny@2" / MANIFEST).open("a") as manifest:
        manifest.write("# changed\n")
    with pytest.raises(ModelRefused, match="tiny@2: its manifest is not signed"):
        Repository(models, ours.trusted).open("tiny@2")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def outside(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def large(path: Path) -> None:
    path.write_bytes(b"A" * 5_000)


@pytest.mark.parametrize("make", [pipe, outside, endless, large])
def test_a_signature_is_read_only_if_it_is_a_small_regular_file_inside(
    models: Path, ours: KeyPair, make: Callable[[Path], None]
) -> None:
    make(models / "tiny" / SIGNATURE)
    with pytest.raises(ModelRefused):
        Repository(models, ours.trusted).open("tiny")


@given(written=st.one_of(st.binary(max_size=200), st.binary(max_size=100).map(b64encode)))
def test_nothing_else_is_taken_for_a_signature(
    tmp_path_factory: pytest.TempPathFactory, written: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / SIGNATURE).write_bytes(written)
    for kind in KINDS:
        with pytest.raises(ModelRefused):
            key_pair(folder, kind=kind).trusted.require_signed(folder, b"a manifest")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_what_openssl_signs_is_taken(models: Path, tmp_path: Path) -> None:
    folder, key = models / "tiny", tmp_path / "key.pem"

    def openssl(*words: str | Path) -> bytes:
        return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout

    openssl("genpkey", "-algorithm", "ed25519", "-out", key)
    (tmp_path / "public.pem").write_bytes(openssl("pkey", "-in", key, "-pubout"))
    signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", folder / MANIFEST)
    encoded = b64encode(signature)
    # As `base64` wraps lines.
    (folder / SIGNATURE).write_bytes(encoded[:76] + b"\n" + encoded[76:] + b"\n")

    Repository(models, TrustedKeys.read(tmp_path / "public.pem")).open("tiny")


def test_a_file_of_trusted_keys_that_can_not_be_used_is_told_of(tmp_path: Path) -> None:
    pair, rsa = key_pair(tmp_path), key_pair(tmp_path, "rsa", "rsa")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    for file, told in (
        (tmp_path / "none.pem", "No such file"),
        (tmp_path, "is a folder"),
        (pair.private, "holds no public key in PEM; `openssl pkey -in KEY -pubout`"),
        (garbage, "a public key in it can't be read"),
        (rsa.public, "another kind than Ed25519, or ECDSA"),
    ):
        with pytest.raises(SettingsError, match=told) as refused:
            TrustedKeys.read(file)
        assert "STREAMPROC_MODEL_KEY" in str(refused.value)
    assert TrustedKeys.read(None) is None


def test_a_private_key_that_can_not_be_used_is_told_of(tmp_path: Path) -> None:
    pair, rsa = key_pair(tmp_path), key_pair(tmp_path, "rsa", "rsa")
    for file, told in (
        (tmp_path / "none.pem", "No such file"),
        (tmp_path, "is a folder"),
        (pair.public, "no private key in PEM"),
        (rsa.private, "another kind than Ed25519, or ECDSA"),
    ):
        with pytest.raises(SettingsError, match=told):
            read_private_key(file, no_passphrase)


def test_the_passphrase_of_a_private_key_is_asked_for(models: Path, tmp_path: Path) -> None:
    pair = key_pair(tmp_path, locked_by="a horse")
    sign(Repository(models).open("tiny"), read_private_key(pair.private, lambda: "a horse"))
    Repository(models, pair.trusted).open("tiny")
    with pytest.raises(SettingsError, match="or the passphrase is another"):
        read_private_key(pair.private, lambda: "a donkey")
