"""Signatures of releases: `release.sig`, which OpenSSF Model Signing makes with an elliptic-curve key over all files.

It lies beside the manifest and covers it, so that a signature speaks of a name, a version and every byte. Anyone
who has the public key can hold a release to it, with seatrial or with `model_signing verify key`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from seatrial.core.deployment import Answer, Check
from seatrial.core.release import MANIFEST, SIGNATURE, Release, encode_manifest
from seatrial.deploy.packing import SourceFile, hold_content, lay_out
from seatrial.deploy.target import Target
from seatrial.errors import ReleaseError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from model_signing.hashing import Config

SECRETS = ("SEATRIAL_SIGN_KEY", "SEATRIAL_SIGN_PASSWORD")
"""Variables that no other program gets."""
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_PRIVATE = "--sign-key"
_MAKE_ONE = "`openssl ecparam -name prime256v1 -genkey -noout -out release.key` makes one"
_BLOCK = re.compile(rb"-----BEGIN [^-]+-----.+?-----END [^-]+-----", re.DOTALL)


class SigningKey:
    """A private key that signs releases, known by its `fingerprint`; its text is never shown, nor kept on a disk."""

    def __init__(self, pem: bytes, password: str | None, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._pem = pem
        self._password = password

    def sign(self, release: Release, sources: tuple[SourceFile, ...]) -> SourceFile:
        """The signature over a release as it will lie on its target."""
        from model_signing import signing

        with TemporaryDirectory(prefix="seatrial-") as directory:
            place, signature = Path(directory) / "release", Path(directory) / SIGNATURE
            place.mkdir()
            lay_out(sources, place)
            (place / MANIFEST).write_bytes(encode_manifest(release))
            with _lend(self._pem) as key:
                # The library hands the password on to cryptography as it is, which takes bytes.
                password = cast("str | None", self._password.encode() if self._password else None)
                config = signing.Config()  # type: ignore[no-untyped-call]
                config.use_elliptic_key_signer(private_key=key, password=password)
            config.set_hashing_config(_choose_files()).sign(place, signature)
            return hold_content(SIGNATURE, signature.read_bytes())


class PublicKeys(Struct, frozen=True, kw_only=True):
    """Public keys by their fingerprints (SHA-256 as hex); a release is trusted that one of them fits."""

    pems: Mapping[str, bytes]

    def check(self, directory: Path) -> Check:
        """The check `signature` of a release in a directory."""
        try:
            fingerprint = self._verify(directory)
        except ReleaseError as error:
            return Check(name="signature", answer=Answer.FAIL, detail=error.message)
        except OSError as error:
            return Check(name="signature", answer=Answer.ERROR, detail=str(error))
        return Check(name="signature", answer=Answer.PASS, detail=f"made with the key {fingerprint[:16]}")

    def _verify(self, directory: Path) -> str:
        """The fingerprint of the key that signed this very directory; ReleaseError where none did."""
        from model_signing import verifying

        directory = directory.resolve()  # a version may be a link to a copy; within it the library takes no links
        signature = directory / SIGNATURE
        if signature.is_symlink() or not signature.is_file():
            raise ReleaseError(f"{SIGNATURE}: missing, so it is not signed")
        named, payload = _read_bundle(signature.read_bytes())
        if named not in self.pems:
            raise ReleaseError(f"{SIGNATURE}: made with the key {named[:16]}, which is none of those that are trusted")
        with _lend(self.pems[named]) as key:
            verifier = verifying.Config()  # type: ignore[no-untyped-call]
            verifier.use_elliptic_key_verifier(public_key=key)
        try:
            verifier.set_hashing_config(_choose_files()).verify(directory, signature)
        except OSError:
            raise
        except Exception as error:  # what a file of somebody else's makes a library raise is not known beforehand
            said = " ".join(str(error).split()) or "the signature is not that of its content"
            raise ReleaseError(f"{SIGNATURE}: not of these files: {said}") from error
        if uncovered := _list_paths(directory) - payload:
            raise ReleaseError(f"{SIGNATURE}: does not cover {', '.join(sorted(uncovered))}")
        return named


def _choose_files() -> Config:
    """All files count, those of git as well, but the signature itself."""
    from model_signing.hashing import Config

    config = Config()  # type: ignore[no-untyped-call]
    return config.set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _list_paths(directory: Path) -> set[str]:
    paths = (path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.is_dir())
    return {path for path in paths if path != SIGNATURE}


def _read_bundle(content: bytes) -> tuple[str, set[str]]:
    """Which key a signature says that it was made with, and which files it says that it covers; not verified yet."""
    try:
        bundle = json.loads(content)
        statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"], validate=True))
        covered = {str(each["name"]) for each in statement["predicate"]["resources"]}
        return str(bundle["verificationMaterial"]["publicKey"]["hint"]), covered
    except (ValueError, LookupError, TypeError, RecursionError, binascii.Error) as error:
        raise ReleaseError(f"{SIGNATURE}: not a signature that a key made") from error


@contextmanager
def _lend(pem: bytes) -> Iterator[Path]:
    """A key as the file that the library reads, which nobody else can read, and which is gone at the end."""
    with TemporaryDirectory(prefix="seatrial-") as directory:  # of mode 0700
        path = Path(directory) / "key.pem"
        path.touch(mode=0o600)
        path.write_bytes(pem)
        yield path


def read_signing_key(said: str, password: str | None = None) -> SigningKey:
    """The private key in PEM that an option says, or whose file it names.

    UsageError where it can't be read, is of another kind, or its password is wrong or missing.
    """
    serialization, ec = _import_libraries()
    pem, name = _read_pem(said, _PRIVATE)
    if b"CERTIFICATE-----" in pem or b"PUBLIC KEY-----" in pem:
        raise UsageError(f"{name}: not a private key", hint=_MAKE_ONE)
    try:
        try:
            key = serialization.load_pem_private_key(pem, password.encode() if password else None)
        except TypeError:
            if not password:
                raise
            password = None  # which the key does not need
            key = serialization.load_pem_private_key(pem, None)
    except TypeError as error:
        raise UsageError(f"{name}: the key is encrypted", hint="give its password in SEATRIAL_SIGN_PASSWORD") from error
    except Exception as error:  # the library's own errors share no base
        wrong = "the password in SEATRIAL_SIGN_PASSWORD does not open it" if password else "no private key in PEM"
        raise UsageError(f"{name}: {wrong}", hint="" if password else _MAKE_ONE) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{name}: not a key of an elliptic curve (P-256, P-384 or P-521)", hint=_MAKE_ONE)
    fingerprint, _ = _describe(key.public_key(), name)
    return SigningKey(pem, password, fingerprint)


def read_public_keys(said: str) -> PublicKeys:
    """The public keys in PEM that an option says, or whose file it names; there may be several in one.

    UsageError where they can't be read or are of another kind.
    """
    serialization, ec = _import_libraries()
    pem, name = _read_pem(said, "--verify-key")
    if b"PRIVATE KEY-----" in pem:
        raise UsageError(f"{name}: a private key, where a public one is wanted", hint=_PUBLIC)
    found: dict[str, bytes] = {}
    for block in _BLOCK.findall(pem):
        try:
            key = serialization.load_pem_public_key(block)
        except Exception as error:  # the library's own errors share no base
            raise UsageError(f"{name}: no public key in PEM", hint=_PUBLIC) from error
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise UsageError(f"{name}: not a key of an elliptic curve (P-256, P-384 or P-521)", hint=_MAKE_ONE)
        fingerprint, plain = _describe(key, name)
        found[fingerprint] = plain
    if not found:
        raise UsageError(f"{name}: no public key in PEM", hint=_PUBLIC)
    return PublicKeys(pems=found)


_PUBLIC = "`openssl ec -in release.key -pubout -out release.pub` writes the public key of a private one"


def _describe(key: EllipticCurvePublicKey, name: str) -> tuple[str, bytes]:
    """The fingerprint of a public key, as the library makes it, and its text."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if key.curve.name not in _CURVES:
        raise UsageError(f"{name}: a key of the curve {key.curve.name}, not P-256, P-384 or P-521", hint=_MAKE_ONE)
    plain = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(plain).hexdigest(), plain


def locate_key(directory: Path, said: str) -> str:
    """A key that stands in a setting itself as it is, else the path of its file, seen from `directory`."""
    return said if "-----BEGIN" in said or not said else str(directory / said)


def _read_pem(said: str, option: str) -> tuple[bytes, str]:
    """A key's text, and what to call it. What can't be read may be a private key in another form, and is not shown."""
    if "-----BEGIN" in said:
        return said.encode(), option
    path = Path(said)
    try:
        return path.read_bytes(), str(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a file"
        told = option if option == _PRIVATE else f"{option} {path}"
        raise UsageError(f"{told}: {reason}", hint="give the path of a key in PEM, or the key itself") from error


def _import_libraries() -> tuple[Any, Any]:
    try:
        import model_signing.signing
        import model_signing.verifying  # noqa: F401 - said missing here, before anything is done
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise UsageError(f"{error.name} is not installed", hint="pip install 'seatrial[signing]'") from error
    return serialization, ec


class SignedTarget:
    """A target of which only signed versions are taken for what was released: every other door stays as it is."""

    def __init__(self, target: Target, keys: PublicKeys) -> None:
        self.target = target
        self._keys = keys

    def __getattr__(self, name: str) -> Any:
        return getattr(self.target, name)

    def verify(self, version: str) -> tuple[str, ...]:
        """What differs from the manifest; where nothing does, what is wrong with the signature."""
        if differences := self.target.verify(version):
            return differences
        check = self.check(version)
        return () if check.passed else (check.detail,)

    def check(self, version: str) -> Check:
        """The check `signature` of a version."""
        try:
            return self._keys.check(self.target.locate(version))
        except ReleaseError as error:
            return Check(name="signature", answer=Answer.ERROR, detail=error.message)


def guard(target: Target, keys: PublicKeys | None) -> Target:
    """The target, which with keys holds every version to its signature."""
    return target if keys is None else cast("Target", SignedTarget(target, keys))


def split_guard(target: Target, version: str) -> tuple[Target, tuple[Check, ...]]:
    """The target without its guard, and the check `signature` where there is one."""
    if isinstance(target, SignedTarget):
        return target.target, (target.check(version),)
    return target, ()
