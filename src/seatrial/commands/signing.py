"""Signatures on the way of a release: made before it is staged, and held against the keys of its environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from seatrial.core.deployment import Check
from seatrial.core.release import Release
from seatrial.deploy.engine import Action, DeploymentPlan, Examination, Prover
from seatrial.deploy.signing import PublicKeys, SigningKey, locate_key, read_public_keys, read_signing_key
from seatrial.errors import BlockedError


class SignedProver(Struct, frozen=True, kw_only=True):
    """Asks whether a release is signed, and asks the model only if it is."""

    prover: Prover
    keys: PublicKeys

    def examine(self, directory: Path) -> Examination:
        """The check `signature`, then those of the model."""
        check = self.keys.check(directory)
        if not check.passed:
            return Examination(checks=(check,))
        return _put_first(check, self.prover.examine(directory))

    def look_from_outside(self, release: Release, directory: Path) -> Examination:
        """The same of the version that should be live."""
        check = self.keys.check(directory)
        if not check.passed:
            return Examination(checks=(check,))
        return _put_first(check, self.prover.look_from_outside(release, directory))


def _put_first(check: Check, examined: Examination) -> Examination:
    return msgspec.structs.replace(examined, checks=(check, *examined.checks))


def open_keys(verify_key: str) -> PublicKeys | None:
    """The public keys that `verify_key` names or holds; None where it is empty."""
    return read_public_keys(verify_key) if verify_key else None


def open_signing_key(sign_key: str | None, directory: Path, variables: Mapping[str, str]) -> SigningKey | None:
    """The private key that an option names or holds; None where there is none."""
    if not sign_key:
        return None
    return read_signing_key(locate_key(directory, sign_key), variables.get("SEATRIAL_SIGN_PASSWORD") or None)


def sign_plan(plan: DeploymentPlan, key: SigningKey | None, keys: PublicKeys | None) -> DeploymentPlan:
    """The plan with a signature beside the files of what it stages; BlockedError where the target would not take it."""
    if plan.action is not Action.STAGE:
        note = f"version {plan.release.version} is there already: what is staged is signed, and nothing else"
        return plan if key is None or keys else msgspec.structs.replace(plan, notes=(*plan.notes, note))
    if key is None:
        if keys is None:
            return plan
        raise BlockedError(
            "only signed releases are taken here, and this one would have no signature",
            hint="--sign-key FILE (SEATRIAL_SIGN_KEY) signs it",
        )
    if keys is not None and key.fingerprint not in keys.pems:
        raise BlockedError(
            f"releases signed with the key {key.fingerprint[:16]} are not taken here",
            hint="the key of --sign-key has to be one of those of --verify-key",
        )
    note = f"signed with the key {key.fingerprint[:16]}"
    sources = (*plan.sources, key.sign(plan.release, plan.sources))
    return msgspec.structs.replace(plan, sources=sources, notes=(*plan.notes, note))
