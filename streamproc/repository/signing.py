"""Signing an ensemble: vouching for its manifest, and so for every file that this names."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from streamproc.errors import ModelRefused, SettingsError
from streamproc.repository.changes import require_unchanged
from streamproc.repository.files import atomic_write
from streamproc.repository.regular_files import read_regular
from streamproc.repository.repository import MANIFEST, StoredEnsemble
from streamproc.repository.signatures import (
    KEYS_TAKEN,
    MAX_KEY_FILE_BYTES,
    SIGNATURE,
    missing_library,
)
from streamproc.repository.verified import verified

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey


def read_private_key(file: Path, ask_passphrase: Callable[[], str]) -> PrivateKey:
    """The key of a PEM file; raises SettingsError.

    ask_passphrase: called where it is encrypted
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ec import (  # noqa: PLC0415
            EllipticCurvePrivateKey,
        )
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PrivateKey,
        )
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            load_pem_private_key,
        )
    except ImportError as missing:
        raise missing_library("signing", missing) from None
    try:
        pem = read_regular(file, MAX_KEY_FILE_BYTES)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    except ModelRefused as error:
        raise SettingsError(str(error)) from None
    try:
        try:
            key = load_pem_private_key(pem, None)
        except TypeError:  # it is encrypted
            key = load_pem_private_key(pem, ask_passphrase().encode())
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(
            f"{file} is no private key in PEM, or the passphrase is another; `openssl genpkey "
            "-algorithm ed25519` makes a key"
        ) from None
    if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey):
        raise SettingsError(f"{file}: the key is of another kind than {KEYS_TAKEN}")
    return key


def sign(stored: StoredEnsemble, key: PrivateKey) -> Path:
    """Write the signature of an ensemble, whose files must be as its manifest says; its path.

    Raises ModelRefused where one is not.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    stored.verify()
    require_unchanged(stored)
    # What is signed is what was read and verified, whatever lies there by now.
    manifest = verified(stored.folder, MANIFEST, stored.digest)
    if isinstance(key, Ed25519PrivateKey):
        signature = key.sign(manifest)
    else:
        signature = key.sign(manifest, ECDSA(SHA256()))
    atomic_write(stored.folder / SIGNATURE, f"{b64encode(signature).decode()}\n")
    return stored.folder / SIGNATURE
