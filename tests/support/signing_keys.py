"""Keys that ensembles are signed with, as files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from streamproc.repository.repository import Repository
from streamproc.repository.signatures import TrustedKeys
from streamproc.repository.signing import read_private_key, sign

KINDS = ("ed25519", "ecdsa")


class KeyPair(NamedTuple):
    """PEM files of a private key and its public one."""

    private: Path
    public: Path

    @property
    def trusted(self) -> TrustedKeys:
        """Those who trust this key alone."""
        found = TrustedKeys.read(self.public)
        assert found is not None
        return found

    def sign(self, models: Path, *names: str) -> None:
        """Sign ensembles of a models folder."""
        key = read_private_key(self.private, no_passphrase)
        for name in names:
            sign(Repository(models).open(name), key)


def key_pair(
    folder: Path, name: str = "ours", kind: str = "ed25519", locked_by: str = ""
) -> KeyPair:
    """A new pair, in files of that name.

    kind: also "rsa", which is not taken
    locked_by: the passphrase of the private one; "": there is none
    """
    made: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if kind == "ed25519":
        made = ed25519.Ed25519PrivateKey.generate()
    elif kind == "ecdsa":
        made = ec.generate_private_key(ec.SECP256R1())
    else:
        made = rsa.generate_private_key(65_537, 2_048)
    encryption: KeySerializationEncryption = NoEncryption()
    if locked_by:
        encryption = BestAvailableEncryption(locked_by.encode())
    folder.mkdir(parents=True, exist_ok=True)
    pair = KeyPair(folder / f"{name}-private.pem", folder / f"{name}.pem")
    pair.private.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    pair.public.write_bytes(
        made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return pair


def no_passphrase() -> str:
    raise AssertionError("a passphrase is asked for")
