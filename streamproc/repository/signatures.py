"""Who vouches for an ensemble: a signature over its manifest, which names all else by digest.

It lies beside the manifest, as base64 of what OpenSSL or a key service make of its bytes.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from streamproc.errors import ModelRefused, SettingsError
from streamproc.repository.regular_files import read_regular
from streamproc.repository.verified import inside

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    PublicKey = Ed25519PublicKey | EllipticCurvePublicKey

SIGNATURE: Final = "manifest.toml.sig"
KEYS_TAKEN: Final = "Ed25519, or ECDSA with SHA-256"
MAX_KEY_FILE_BYTES: Final = 1 << 16
_MAX_SIGNATURE_BYTES: Final = 1 << 12
_PUBLIC_KEYS = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


class TrustedKeys:
    """Public keys, one of which has to have signed what is loaded."""

    def __init__(self, keys: Sequence[PublicKey], file: Path) -> None:
        """file: that they are of, to be named"""
        self._keys = tuple(keys)
        self._file = file

    @classmethod
    def read(cls, file: Path | None) -> Self | None:
        """Those of a PEM file, which may have several; None where no file is named.

        Raises SettingsError where it can't be used, or what is needed is not installed.
        """
        if file is None:
            return None
        setting = f"STREAMPROC_MODEL_KEY={file}"
        try:
            content = read_regular(file, MAX_KEY_FILE_BYTES)
        except OSError as error:
            raise SettingsError(f"{setting}: {error.strerror}") from None
        except ModelRefused as error:
            raise SettingsError(f"STREAMPROC_MODEL_KEY: {error}") from None
        found = _PUBLIC_KEYS.findall(content)
        if not found:
            raise SettingsError(
                f"{setting} holds no public key in PEM; `openssl pkey -in KEY -pubout` writes that "
                "of a private key"
            )
        return cls([_public_key(pem, setting) for pem in found], file)

    def require_signed(self, folder: Path, manifest: bytes) -> None:
        """Raise ModelRefused unless a signature in the folder is one of these keys' and of this."""
        sign = "sign it (`streamproc models sign`)"
        try:
            written = read_regular(inside(folder, SIGNATURE), _MAX_SIGNATURE_BYTES)
        except OSError:
            raise ModelRefused(
                f"{folder} is not signed: it has no {SIGNATURE}, and STREAMPROC_MODEL_KEY asks for "
                f"one; {sign}, or get the file with the others"
            ) from None
        if not any(_has_signed(key, written, manifest) for key in self._keys):
            raise ModelRefused(
                f"{folder}: its manifest is not signed by a key of {self._file} "
                "(STREAMPROC_MODEL_KEY): it was changed after it was signed, or another key has "
                f"signed it; get it from whom you trust, or look at it and {sign}"
            )


def missing_library(wanted: str, missing: ImportError) -> SettingsError:
    """That what signatures are made and read with is not installed."""
    return SettingsError(
        f'{wanted} needs {missing.name}, which is not installed: pip install "streamproc[signing]"'
    )


def _public_key(pem: bytes, setting: str) -> PublicKey:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ec import (  # noqa: PLC0415
            EllipticCurvePublicKey,
        )
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PublicKey,
        )
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            load_pem_public_key,
        )
    except ImportError as missing:
        raise missing_library("STREAMPROC_MODEL_KEY", missing) from None
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(f"{setting}: a public key in it can't be read") from None
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise SettingsError(f"{setting}: a key in it is of another kind than {KEYS_TAKEN}")
    return key


def _has_signed(key: PublicKey, written: bytes, manifest: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        # Whoever wrote it may have wrapped its lines.
        signature = b64decode(b"".join(written.split()), validate=True)
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, manifest)
        else:
            key.verify(signature, manifest, ECDSA(SHA256()))
    except (binascii.Error, InvalidSignature):
        return False
    return True
