"""`seatrial deploy`: deliver the model that was judged, and prove that it answers as it was evaluated.

A plan is made first and is a value. Applying it is the affair of `seatrial.deploy.engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from seatrial.commands.proving import describe_model
from seatrial.commands.releasing import Lineage, promise_golden
from seatrial.core.deployment import Answer, Check, Observation, Outcome
from seatrial.core.metrics import Value
from seatrial.core.release import (
    GoldenPromise,
    Release,
    Signature,
    check_name,
    detect_format,
    digest_files,
    record_values,
    warn_of_pickles,
)
from seatrial.core.verdict import Outcome as GateOutcome
from seatrial.core.verdict import Status, Verdict
from seatrial.deploy.documents import write_documents
from seatrial.deploy.engine import Action, Deployment, DeploymentPlan, blocking
from seatrial.deploy.packing import SourceFile, lay_out, pack
from seatrial.deploy.target import Target
from seatrial.errors import BlockedError, ReleaseError, UsageError
from seatrial.sources.cache import CachedOut, hash_listing
from seatrial.sources.dvcfiles import Artifact


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
    is_older: Callable[[str, str], bool | None] | None = None,
    lineage: Lineage | None = None,
    pickles: tuple[str, ...] = (),
) -> DeploymentPlan:
    """Decide what delivering an artifact takes: read and check its bytes, and look at the target.

    `is_older` tells whether the first commit is an ancestor of the second, None where that can't be told. `pickles` are
    the files that may be released although loading them runs code. Raises UsageError for an artifact that dvc.yaml does
    not declare, BlockedError where the verdict forbids the release (unless `override` says why it is made
    nevertheless), the bytes are not those of dvc.lock, its golden requests are not those that were judged, or what is
    live is newer.
    """
    path = _find_path(check_name(artifact), tuple(artifacts))
    with blocking():
        overruled = _check_verdict(verdict, commit, override.strip())
        out = _locate(locate, path, commit)
        sources = pack(path, ((file.path, file.digest, file.location) for file in out.files), pickles)
        files = tuple(source.file for source in sources)
        seen = target.observe()
        action, version, notes = _choose_version(target, seen, digest_files(files))
        release = Release(
            name=artifact,
            version=version,
            digest=digest_files(files),
            format=detect_format(file.path for file in files),
            files=files,
            commit=commit,
            lock_digest=out.digest,
            verdict=verdict.status.value,
            override=overruled,
            metrics=record_values(metrics),
            pickles=tuple(file.path for file in files if file.path in pickles),
            signature=_describe(sources, pickles) if action is Action.STAGE else target.read_release(version).signature,
        )
        if is_older and action is not Action.NOTHING:
            _refuse_older(target, seen, commit, is_older)
        if action is Action.STAGE:
            release, documents = _tell_lineage(release, sources, lineage or Lineage())
            sources, notes = (*sources, *documents), (*notes, *_remark(release))
    return DeploymentPlan(action=action, release=release, sources=sources, previous=seen.live, notes=notes)


def _tell_lineage(
    release: Release, sources: tuple[SourceFile, ...], lineage: Lineage
) -> tuple[Release, tuple[SourceFile, ...]]:
    """The release with all that is known of its model, and the documents that tell it."""
    told = replace(
        release,
        golden=promise_golden(sources, lineage),
        description=lineage.description,
        source=lineage.source,
        policy=lineage.policy,
        gates=lineage.gates,
        scores=lineage.scores,
        params=lineage.params,
        commands=lineage.commands,
        materials=lineage.materials,
        environment=lineage.environment,
    )
    documents = write_documents(told)
    return replace(told, documents=tuple(document.file for document in documents)), documents


def _remark(release: Release) -> tuple[str, ...]:
    """What is wanting in the proof of a release."""
    if release.golden is None:
        return ("it brings no golden requests that can be read, so nothing will prove its answers",)
    if not release.golden.judged:
        return ("its golden requests carry no key of an evaluation, so they are not held against what was judged",)
    return ()


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


_FORBIDDING = (GateOutcome.FAILED, GateOutcome.INCONCLUSIVE)


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


def _describe(sources: tuple[SourceFile, ...], pickles: tuple[str, ...]) -> Signature | None:
    """How the model is called, by loading it; None where it can't be loaded, which the engine's checks will tell."""
    with TemporaryDirectory(prefix="seatrial-") as directory:
        lay_out(sources, Path(directory))
        return describe_model(Path(directory), pickles)


def _refuse_older(target: Target, seen: Observation, commit: str, is_older: Callable[[str, str], bool | None]) -> None:
    """Stop an older commit that finishes later from taking the place of a newer one."""
    if seen.live is None or not (live := _find_commit(target, seen.live.version)) or live == commit:
        return
    older = is_older(commit, live)
    if older is False:
        return
    said = (
        f"is older than {live[:7]}" if older else f"can't be compared with {live[:7]}, which is not in this repository"
    )
    raise BlockedError(
        f"{commit[:7]} {said}, and version {seen.live.version} of that commit is live",
        hint="`seatrial rollback` goes back; --allow-older deploys it nevertheless",
    )


def _find_commit(target: Target, version: str) -> str:
    """The commit that made a version live last; the same bytes may come from several."""
    for record in reversed(target.read_log()):
        if record.event is Outcome.LIVE and record.version == version:
            return record.commit
    try:
        return target.read_release(version).commit
    except ReleaseError:
        return ""


def describe_plan(plan: DeploymentPlan) -> tuple[str, ...]:
    """A plan as lines for people."""
    release = plan.release
    size = sum(file.size for file in release.files)
    live = f"version {plan.previous.version}" if plan.previous else "nothing"
    step = {
        Action.NOTHING: f"nothing to do: version {release.version} is already live",
        Action.PROMOTE: f"ask version {release.version}, which is there already, its golden requests, make it live",
        Action.STAGE: f"stage version {release.version}, ask its golden requests, make it live",
    }[plan.action]
    return (
        *([f"to       {plan.environment}"] if plan.environment else []),
        f"model    {release.name} ({release.format.value}, {len(release.files)} files, {size:,} bytes)",
        f"digest   {release.digest}",
        f"from     commit {release.commit[:7]}, dvc.lock {release.lock_digest}",
        f"verdict  {release.verdict}" + (f", overruled: {release.override}" if release.override else ""),
        f"live     {live}",
        f"plan     {step}",
        *([f"golden   {_describe_golden(release.golden)}"] if release.golden else []),
        *([f"warning  {warning}; seatrial.yaml names it"] if (warning := warn_of_pickles(release.pickles)) else []),
        *(f"note     {note}" for note in plan.notes),
    )


def _describe_golden(golden: GoldenPromise) -> str:
    judged = f", {golden.judged} of them with scores that were judged" if golden.judged else ""
    return f"{golden.rows} requests{judged}"


def describe_deployment(deployment: Deployment) -> str:
    """What was done, in a line for people."""
    release, previous = deployment.release, deployment.previous
    named = f"{release.name} {release.version} ({release.digest[:19]})"
    still = f"version {previous.version} is live, and proved" if previous else "nothing is live, as before"
    if deployment.outcome is Outcome.ALREADY_LIVE:
        return f"{named} is already live"
    if deployment.outcome is Outcome.LIVE:
        before = f", before it version {previous.version}" if previous else ""
        return f"{named} is live{before}; {describe_proof(deployment.checks)}"
    if deployment.outcome is Outcome.REVERTED:
        return f"{named} had requests and has none any more: {deployment.reason}; {still}"
    if deployment.outcome is Outcome.NOT_RESTORED:
        return f"{named} failed: {deployment.reason}"
    return f"{named} was not made live: {deployment.reason}; {still}"


def describe_proof(checks: tuple[Check, ...]) -> str:
    """How the answers of a model are known to be right, in words."""
    golden = next((check for check in checks if check.name == "golden"), None)
    if golden is not None and golden.answer is Answer.PASS:
        return golden.detail
    return "it has no golden.json, so its answers are not proved"


def state_plan(plan: DeploymentPlan) -> dict[str, object]:
    """A plan as facts for machines."""
    return {
        "action": plan.action.value,
        "kind": plan.kind.value,
        "environment": plan.environment,
        "release": plan.release,
        "previous": plan.previous,
        "notes": plan.notes,
    }


def state_deployment(deployment: Deployment) -> dict[str, object]:
    """What was done as facts for machines."""
    release = deployment.release
    return {
        "outcome": deployment.outcome.value,
        "exit_code": int(deployment.outcome.exit_code),
        "environment": deployment.environment,
        "name": release.name,
        "version": release.version,
        "digest": release.digest,
        "commit": release.commit,
        "previous": deployment.previous,
        "checks": deployment.checks,
        "golden": deployment.golden,
        "reason": deployment.reason,
        "freed": deployment.freed,
    }
