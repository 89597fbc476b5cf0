"""`seatrial status` and `seatrial releases`: what is live, whether it is what was deployed, what is there beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from seatrial.commands.delivery import open_place, recover_open
from seatrial.core.deployment import (
    Answer,
    Check,
    DeploymentRecord,
    Outcome,
    StoredVersion,
    list_known_good,
    list_ways_back,
)
from seatrial.core.environment import Environment
from seatrial.core.metrics import Value, is_number
from seatrial.core.release import Release, warn_of_pickles
from seatrial.core.routing import Route
from seatrial.deploy import list_deployed
from seatrial.deploy.engine import CutOffError, Prover
from seatrial.deploy.signing import split_guard
from seatrial.deploy.target import Target, find_routing
from seatrial.errors import BlockedError, ReleaseError, UsageError

_LATEST = 5


class ModelStatus(Struct, frozen=True, kw_only=True):
    """One model on a target. `problems` are what has to be mended; `recovered` is what this look finished or undid.

    `busy` says that a deployment is running, `route` which versions share the requests with the live one (None: it has
    all). `ways_back` are the versions that a rollback would take, in that order.
    """

    name: str
    version: str = ""
    digest: str = ""
    commit: str = ""
    verdict: str = ""
    since: str = ""
    pickles: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    problems: tuple[str, ...] = ()
    busy: bool = False
    route: Route | None = None
    recovered: DeploymentRecord | None = None
    ways_back: tuple[str, ...] = ()
    latest: tuple[DeploymentRecord, ...] = ()


class ListedRelease(Struct, frozen=True, kw_only=True):
    """One version on a target. `state` is live, known-good or not-proved; `problem` says what was altered."""

    version: str
    state: str
    digest: str
    problem: str = ""
    commit: str = ""
    verdict: str = ""
    override: str = ""
    live_since: str = ""
    metrics: Mapping[str, Value] = {}


def open_models(environment: Environment, artifact: str | None) -> dict[str, Target]:
    """The targets of one model, or of all that were ever deployed to a place; UsageError where there is none."""
    place, there = environment.to, list_deployed(environment.to)
    if artifact is not None and environment.target == "local" and artifact not in there:
        raise UsageError(
            f"{artifact} was never deployed to {place}", hint=f"there are: {', '.join(there) or 'no models'}"
        )
    names = there if artifact is None else (artifact,)
    if not names:
        raise UsageError(f"nothing was ever deployed to {place}", hint=f"run `seatrial deploy ARTIFACT --to {place}`")
    return {name: open_place(environment, name) for name in names}


def examine_model(name: str, target: Target, prover: Prover, *, prove: bool) -> ModelStatus:
    """Look at one model: hash what is live again, and with `prove` ask it its golden requests."""
    recovered, busy, cut_off = _recover(target, prover)
    seen, log = target.observe(), target.read_log()
    route, misrouted = _read_route(target)
    told = ModelStatus(name=name, busy=busy, route=route, recovered=recovered, latest=log[-_LATEST:][::-1])
    if seen.live is None:
        return _replace(told, problems=(*cut_off, *misrouted, "nothing is live"))
    version = seen.live.version
    checks = _check(target, seen.live, prover, prove=prove)
    problems = [*cut_off, *misrouted]
    problems += [f"{check.name}: {check.detail or check.answer.value}" for check in checks if _is_bad(check)]
    proved = [entry for entry in log if entry.event is Outcome.LIVE and entry.version == version]
    if not proved and not busy and not cut_off:
        problems.append(f"version {version} is live, but the log tells no deployment that made it so")
    if recovered is not None and recovered.event is not Outcome.LIVE:
        problems.append(f"a deployment of version {recovered.version} was cut off, and is undone")
    if log and log[-1].event is Outcome.NOT_RESTORED:
        problems.append(f"the last deployment failed and was not undone: {log[-1].reason}")
    known = _read(target, version)
    return _replace(
        told,
        version=version,
        digest=seen.live.digest,
        commit=proved[-1].commit if proved else known[0],
        verdict=proved[-1].verdict if proved else known[1],
        since=proved[-1].time if proved else "",
        pickles=known[2],
        checks=checks,
        problems=tuple(problems),
        ways_back=tuple(found for found in list_ways_back(log) if found != version and _holds(target, found)),
    )


def _read_route(target: Target) -> tuple[Route | None, tuple[str, ...]]:
    """Which versions share the requests with the live one, and what is wrong with what says so."""
    routing = find_routing(target)
    try:
        route = routing.read_route() if routing else Route()
    except ReleaseError as error:
        return None, (error.message,)
    return (route if route.versions else None), ()


def _recover(target: Target, prover: Prover) -> tuple[DeploymentRecord | None, bool, tuple[str, ...]]:
    """What was finished or undone, whether a deployment is running, and why one that was cut off stays so."""
    try:
        return recover_open(target, prover, patience=0), False, ()
    except CutOffError as error:
        return None, False, (f"{error.message}; {error.hint}",)
    except BlockedError:
        return None, True, ()


def _check(target: Target, live: StoredVersion, prover: Prover, *, prove: bool) -> tuple[Check, ...]:
    version = live.version
    target, signed = split_guard(target, version)
    differences = target.verify(version) or ((live.problem,) if live.problem else ())
    if differences:
        return (Check(name="identity", answer=Answer.FAIL, detail="; ".join(differences)),)
    identity = Check(name="identity", answer=Answer.PASS, detail=target.read_release(version).digest)
    return (identity, *(prover.examine(target.locate(version)).checks if prove else signed))


def _is_bad(check: Check) -> bool:
    return check.answer in (Answer.FAIL, Answer.ERROR)


def _read(target: Target, version: str) -> tuple[str, str, tuple[str, ...]]:
    try:
        release = target.read_release(version)
    except ReleaseError:
        return "", "", ()
    return release.commit, release.verdict, release.pickles


def _holds(target: Target, version: str) -> bool:
    return any(stored.version == version and not stored.problem for stored in target.observe().versions)


def _replace(status: ModelStatus, **changes: object) -> ModelStatus:
    from msgspec.structs import replace

    return replace(status, **changes)


def list_releases(target: Target, prover: Prover) -> tuple[ListedRelease, ...]:
    """Every version on a target, the newest first, each with its bytes hashed again."""
    _recover(target, prover)
    seen, log = target.observe(), target.read_log()
    good = list_known_good(log)
    since = {entry.version: entry.time for entry in log if entry.event is Outcome.LIVE}
    listed = []
    for stored in reversed(seen.versions):
        differences = (stored.problem,) if stored.problem else target.verify(stored.version)
        live = seen.live is not None and stored.version == seen.live.version
        state = "live" if live else "known-good" if stored.version in good else "not-proved"
        listed.append(_list_one(target, stored.version, state, "; ".join(differences), since))
    return tuple(listed)


def _list_one(target: Target, version: str, state: str, problem: str, since: Mapping[str, str]) -> ListedRelease:
    try:
        release = target.read_release(version)
    except ReleaseError:
        return ListedRelease(version=version, state=state, digest="", problem=problem)
    return ListedRelease(
        version=version,
        state=state,
        digest=release.digest,
        problem=problem,
        commit=release.commit,
        verdict=release.verdict,
        override=release.override,
        live_since=since.get(version, ""),
        metrics=_put_judged_first(release),
    )


def _put_judged_first(release: Release) -> dict[str, Value]:
    """The metrics, those that a gate judged before the others."""
    judged = {gate.metric.rpartition(":")[2] for gate in release.gates}
    return dict(sorted(release.metrics.items(), key=lambda item: item[0].rpartition(":")[2] not in judged))


def describe_status(status: ModelStatus) -> tuple[str, ...]:
    """One model as lines for people."""
    live = f"version {status.version} ({status.digest[:19]})" if status.version else "nothing"
    lines = [f"{status.name}: {live}" + (f" since {status.since[:19]}" if status.since else "")]
    if status.commit:
        lines.append(f"  from      commit {status.commit[:7]}, verdict {status.verdict}")
    lines += [f"  {check.name:<9} {check.answer.value}" + _tail(check.detail) for check in status.checks]
    if warning := warn_of_pickles(status.pickles):
        lines.append(f"  warning   {warning}")
    if status.version:
        lines.append(f"  back to   {', '.join(status.ways_back) or 'no earlier version is there'}")
    if status.route:
        lines.append(f"  shares    {', '.join(_list_shares(status.route))}")
    if status.busy:
        lines.append("  running   a deployment is under way")
    lines += [f"  {entry.time[:19]} {entry.kind.value} {entry.version}: {_tell(entry)}" for entry in status.latest]
    return (*lines, *(f"  problem   {problem}" for problem in status.problems))


def _list_shares(route: Route) -> Iterator[str]:
    for version, weight in route.weights.items():
        yield f"version {version} answers {weight:g} % of the requests"
    if route.shadow:
        yield f"version {route.shadow} is asked behind the live one"


def _tail(detail: str) -> str:
    return f": {detail}" if detail else ""


def _tell(entry: DeploymentRecord) -> str:
    return entry.event.value + _tail(entry.reason)


def describe_releases(name: str, releases: tuple[ListedRelease, ...]) -> tuple[str, ...]:
    """The versions of a model as lines for people: a few metrics each, all of them in JSON."""
    lines = [name]
    for each in releases:
        verdict = f"{each.verdict} (overruled: {each.override})" if each.override else each.verdict
        lines.append(f"  {each.version:>4} {each.state:<10} {each.digest[:19]} {each.commit[:7]} {verdict}".rstrip())
        named = {
            key.rpartition(":")[2]: value for key, value in reversed(tuple(each.metrics.items())) if is_number(value)
        }
        numbers = [f"{name} {value:g}" for name, value in reversed(named.items())]
        if numbers:
            lines.append(
                f"       {', '.join(numbers[:6])}" + (f", {len(numbers) - 6} more" if len(numbers) > 6 else "")
            )
        if each.problem:
            lines.append(f"       problem: {each.problem}")
    return tuple(lines)
