"""`seatrial deploy`: deliver the model that was judged, and prove that it answers as it was evaluated.

A plan is made first and is a value; applying it is a sequence in which every step can be the last one:
stage (no traffic) → golden requests → promote (one rename) → look at what is live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum

from seatrial.core.metrics import Value
from seatrial.core.release import (
    DeploymentRecord,
    GoldenProof,
    Observation,
    Release,
    StoredVersion,
    check_name,
    detect_format,
    digest_files,
    record_values,
)
from seatrial.core.verdict import Outcome, Status, Verdict
from seatrial.deploy import Target
from seatrial.deploy.packing import SourceFile, pack
from seatrial.errors import ReleaseError, UsageError
from seatrial.sources.cache import CachedOut, hash_listing
from seatrial.sources.dvcfiles import Artifact


class Action(str, Enum):
    """What a plan will do."""

    NOTHING = "nothing"
    PROMOTE = "promote"
    STAGE = "stage"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPlan:
    """What would be done: nothing is written until it is applied."""

    action: Action
    release: Release
    sources: tuple[SourceFile, ...]
    previous: StoredVersion | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What was done. `golden` is None where the model brings no golden requests, or nothing was to be done."""

    action: Action
    release: Release
    previous: StoredVersion | None
    golden: GoldenProof | None


def plan_deployment(
    *,
    artifact: str,
    artifacts: Iterable[Artifact],
    locate: Callable[[str], CachedOut | None],
    target: Target,
    commit: str,
    verdict: Verdict,
    metrics: Mapping[str, Value],
    override: str = "",
) -> DeploymentPlan:
    """Decide what delivering an artifact takes: read and check its bytes, and look at the target.

    Raises UsageError for an artifact that dvc.yaml does not declare, ReleaseError where the verdict forbids
    the release (unless `override` says why it is made nevertheless) or the bytes are not those of dvc.lock.
    """
    path = _find_path(check_name(artifact), tuple(artifacts))
    overruled = _check_verdict(verdict, commit, override.strip())
    out = _locate(locate, path, commit)
    sources = pack(path, ((file.path, file.digest, file.location) for file in out.files))
    files = tuple(source.file for source in sources)
    digest = digest_files(files)
    seen = target.observe()
    action, version, notes = _choose_version(target, seen, digest)
    release = Release(
        name=artifact,
        version=version,
        digest=digest,
        format=detect_format(file.path for file in files),
        files=files,
        commit=commit,
        lock_digest=out.digest,
        verdict=verdict.status.value,
        override=overruled,
        metrics=record_values(metrics),
    )
    return DeploymentPlan(action=action, release=release, sources=sources, previous=seen.live, notes=notes)


def _find_path(name: str, artifacts: tuple[Artifact, ...]) -> str:
    for declared in artifacts:
        if declared.name == name:
            return declared.path
    known = ", ".join(sorted(declared.name for declared in artifacts)) or "none"
    raise UsageError(f"dvc.yaml declares no artifact {name!r}", hint=f"declared under `artifacts:`: {known}")


def _locate(locate: Callable[[str], CachedOut | None], path: str, commit: str) -> CachedOut:
    out = locate(path)
    if out is None:
        raise ReleaseError(
            f"{path} of {commit[:7]} is not in DVC's cache, or dvc.lock does not name it",
            hint=f"run `dvc pull {path}`; if it is new, `dvc repro` and commit dvc.lock",
        )
    listed = [(file.path, file.digest) for file in out.files]
    if out.digest != (hash_listing(listed) if out.digest.endswith(".dir") else "".join(md5 for _, md5 in listed)):
        raise ReleaseError(f"{path}: the list of files is not the one that dvc.lock names ({out.digest})")
    return out


def _check_verdict(verdict: Verdict, commit: str, override: str) -> str:
    """The reason that overrules this verdict, empty where none is needed."""
    if verdict.status in (Status.PASSED, Status.WARNED):
        return ""
    if override:
        return override
    reasons = [f"{f.id} ({f.limit}): {f.reason}" for f in verdict.findings if f.outcome in _FORBIDDING]
    raise ReleaseError(
        f"the verdict of {commit[:7]} is {verdict.status.value}, so the model is not released"
        + "".join(f"; {reason}" for reason in reasons),
        hint=f"`seatrial compare {commit[:7]}^ {commit[:7]}` shows the gates; --override REASON releases the model "
        "nevertheless and is recorded",
    )


_FORBIDDING = (Outcome.FAILED, Outcome.INCONCLUSIVE)


def _choose_version(target: Target, seen: Observation, digest: str) -> tuple[Action, str, tuple[str, ...]]:
    """Which version these bytes are, or will be; one whose bytes were altered on the target is not reused."""
    notes = [f"version {seen.live.version} is live, but {seen.live.problem}"] if seen.live and seen.live.problem else []
    for stored in sorted((v for v in seen.versions if v.digest == digest), key=lambda v: v != seen.live):
        differences = target.verify(stored.version)
        if not differences:
            action = Action.NOTHING if stored == seen.live else Action.PROMOTE
            return action, stored.version, tuple(notes)
        notes.append(f"version {stored.version} on the target was altered: {'; '.join(differences)}")
    return Action.STAGE, seen.next_version, tuple(notes)


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


def apply(plan: DeploymentPlan, *, target: Target, now: Callable[[], datetime] = _utc_now) -> Deployment:
    """Carry a plan out. Raises ReleaseError; what was live before stays live then."""
    with target.lock():
        recover(target, now)
        seen = target.observe()
        if seen.live and seen.live.digest == plan.release.digest and not target.verify(seen.live.version):
            return _done(plan, Action.NOTHING, None)
        if seen.live != plan.previous:
            raise ReleaseError(
                "another deployment changed the target since this one was planned",
                hint="deploy again, and a new plan is made",
            )
        log = _Log(target=target, plan=plan, now=now)
        golden = _prepare(plan, target, log)
        log.write("promoting", golden=golden)
        target.promote(plan.release.version)
        _check_live(plan, target, log)
        log.write("live", golden=golden)
        return _done(plan, plan.action, golden)


def _done(plan: DeploymentPlan, action: Action, golden: GoldenProof | None) -> Deployment:
    return Deployment(action=action, release=plan.release, previous=plan.previous, golden=golden)


def recover(target: Target, now: Callable[[], datetime] = _utc_now) -> None:
    """Finish the log of a deployment that was cut off while it promoted: say which way it came out.

    The caller holds the target's lock.
    """
    entries = target.read_log()
    if not entries or entries[-1].event != "promoting":
        return
    cut = entries[-1]
    live = target.observe().live
    reached = live is not None and (live.version, live.digest) == (cut.version, cut.digest)
    target.record(
        DeploymentRecord(
            time=now().isoformat(),
            event="live" if reached else "abandoned",
            name=cut.name,
            version=cut.version,
            digest=cut.digest,
            previous=cut.previous,
            commit=cut.commit,
            verdict=cut.verdict,
            override=cut.override,
            golden=cut.golden,
            reason="the deployment was cut off; this was found by the next one",
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """The target's log, as this deployment writes it."""

    target: Target
    plan: DeploymentPlan
    now: Callable[[], datetime]

    def write(self, event: str, *, golden: GoldenProof | None = None, reason: str = "") -> None:
        release = self.plan.release
        self.target.record(
            DeploymentRecord(
                time=self.now().isoformat(),
                event=event,
                name=release.name,
                version=release.version,
                digest=release.digest,
                previous=self.plan.previous.version if self.plan.previous else "",
                commit=release.commit,
                verdict=release.verdict,
                override=release.override,
                golden=golden,
                reason=reason,
            )
        )


def _prepare(plan: DeploymentPlan, target: Target, log: _Log) -> GoldenProof | None:
    """Stage the version and let it answer its golden requests; a version that fails is taken away again."""
    from seatrial.serving.golden import prove_golden

    version = plan.release.version
    staged = plan.action is Action.STAGE
    directory = target.stage(plan.release, plan.sources) if staged else target.locate(version)
    try:
        return prove_golden(directory)
    except Exception as error:  # Whatever the model does wrong, it must not stay half-deployed.
        log.write("refused", reason=str(error))
        if staged:
            target.retire(version)
        raise


def _check_live(plan: DeploymentPlan, target: Target, log: _Log) -> None:
    """Look at what is live after promoting; put the version before back if it is not what was meant."""
    live = target.observe().live
    if live is not None and (live.version, live.digest) == (plan.release.version, plan.release.digest):
        return
    log.write("reverted", reason=f"live after promoting: {live}")
    if plan.previous:
        target.promote(plan.previous.version)
    raise ReleaseError(
        f"after promoting {plan.release.version}, the target showed {live.version if live else 'nothing'}"
    )


def describe_plan(plan: DeploymentPlan) -> tuple[str, ...]:
    """A plan as lines for people."""
    release = plan.release
    size = sum(file.size for file in release.files)
    live = f"version {plan.previous.version}" if plan.previous else "nothing"
    step = {
        Action.NOTHING: f"nothing to do: version {release.version} is already live",
        Action.PROMOTE: f"make version {release.version} live, which is there already",
        Action.STAGE: f"stage version {release.version}, ask its golden requests, make it live",
    }[plan.action]
    return (
        f"model    {release.name} ({release.format.value}, {len(release.files)} files, {size:,} bytes)",
        f"digest   {release.digest}",
        f"from     commit {release.commit[:7]}, dvc.lock {release.lock_digest}",
        f"verdict  {release.verdict}" + (f", overruled: {release.override}" if release.override else ""),
        f"live     {live}",
        f"plan     {step}",
        *(f"note     {note}" for note in plan.notes),
    )


def describe_deployment(deployment: Deployment) -> str:
    """What was done, in a line for people."""
    release = deployment.release
    named = f"{release.name} {release.version} ({release.digest[:19]})"
    if deployment.action is Action.NOTHING:
        return f"{named} is already live"
    before = f", before it version {deployment.previous.version}" if deployment.previous else ""
    if deployment.golden is None:
        return f"{named} is live{before}; it has no golden.json, so its answers are not proved"
    proof = deployment.golden
    return f"{named} is live{before}; {proof.rows} golden requests answered (largest error {proof.largest_error:.1e})"
