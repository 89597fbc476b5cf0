"""`seatrial release`: what a deployment would bring to its target, in a directory of its own, and proved."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from seatrial.commands.deploy import describe_proof
from seatrial.core.deployment import Answer, Check, GoldenProof, judge_checks
from seatrial.core.release import Release
from seatrial.deploy.engine import DeploymentPlan, Prover
from seatrial.deploy.local import LocalTarget
from seatrial.deploy.target import Target
from seatrial.errors import DeployExit, ReleaseError, UsageError

_EXITS = {
    Answer.PASS: DeployExit.LIVE,
    Answer.FAIL: DeployExit.FAILED,
    Answer.ERROR: DeployExit.FAILED,
    Answer.INCONCLUSIVE: DeployExit.INCONCLUSIVE,
}


class Packed(Struct, frozen=True, kw_only=True):
    """A release, what its model said when it was asked, and where it is; nowhere where the answer forbids that."""

    release: Release
    answer: Answer
    checks: tuple[Check, ...]
    golden: GoldenProof | None
    directory: Path | None

    @property
    def exit_code(self) -> DeployExit:
        """As that of a deployment that ends with the same checks."""
        return _EXITS[self.answer]


def pack_release(
    artifact: str,
    out: Path,
    *,
    plan: Callable[[Target], DeploymentPlan],
    choose_prover: Callable[[Release], Prover],
    unproved: bool,
) -> Packed:
    """Plan for an empty target beside `out`, stage there, ask the model, and rename the release into its place.

    UsageError where `out` is there already; what `plan` and staging raise leaves nothing behind.
    """
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} is there already", hint="name a directory that is not there yet")
    draft = out.parent / f".{out.name}-{secrets.token_hex(8)}"
    target = LocalTarget(root=draft, name=artifact)
    try:
        planned = plan(target)
        with target.lock():
            place = target.stage(planned.release, planned.sources)
        examined = choose_prover(planned.release).examine(place)
        answer = judge_checks(examined.checks, unproved=unproved)
        if answer is Answer.PASS:
            place.rename(out)
    except OSError as error:
        raise ReleaseError(f"{error.filename or out}: {error.strerror or error}", hint="nothing was written") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Packed(
        release=planned.release,
        answer=answer,
        checks=examined.checks,
        golden=examined.golden,
        directory=out if answer is Answer.PASS else None,
    )


def describe_packed(packed: Packed) -> str:
    """What was made, in a line for people."""
    named = f"{packed.release.name} ({packed.release.digest[:19]})"
    if packed.directory is None:
        return f"{named} was not written: {'; '.join(_tell_wanting(packed.checks))}"
    proof = describe_proof(packed.checks)
    return f"{named} is in {packed.directory}; {proof}"


def _tell_wanting(checks: tuple[Check, ...]) -> list[str]:
    return [f"{check.name}: {check.detail}" for check in checks if not check.passed]


def state_packed(packed: Packed) -> dict[str, object]:
    """The same as facts for machines."""
    return {
        "directory": str(packed.directory) if packed.directory else None,
        "answer": packed.answer.value,
        "checks": packed.checks,
        "golden": packed.golden,
        "release": packed.release,
    }
