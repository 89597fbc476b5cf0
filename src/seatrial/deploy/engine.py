"""The engine that every target has: a plan becomes live and is proved, or what was live before is live again.

    lock → recover an open journal → stage → identity, ready, golden, schema → (shadow, weights) → promote → bake → log

Before each step the target's journal says durably what is about to be done. A step that fails is undone in reverse, and
then what was live before is proved. A process that is killed leaves its journal open, and the next command, whatever it
is, finishes that deployment or undoes it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from seatrial.core.deployment import (
    Answer,
    Check,
    DeploymentRecord,
    GoldenProof,
    Intent,
    JournalEntry,
    Kind,
    Observation,
    Outcome,
    Step,
    StoredVersion,
    choose_garbage,
    judge_checks,
    list_ways_back,
    make_record,
)
from seatrial.core.environment import KEPT
from seatrial.core.release import Release, Signature, compare_signatures
from seatrial.core.routing import Route
from seatrial.deploy.interruption import Interrupted, Interruption, watch_signals
from seatrial.deploy.packing import SourceFile
from seatrial.deploy.target import Routing, Target, find_routing
from seatrial.deploy.trial import Phase, Trial
from seatrial.errors import BlockedError, CompareError, ReleaseError, SeatrialError

_CUT_OFF = "the deployment was cut off; this was found by the next command"
_CANCELLED = "the deployment was told to end (SIGTERM or SIGINT)"


class Action(str, Enum):
    """What a plan will do."""

    NOTHING = "nothing"
    PROMOTE = "promote"
    STAGE = "stage"


class DeploymentPlan(Struct, frozen=True, kw_only=True):
    """What would be done: nothing is written until it is applied."""

    action: Action
    release: Release
    sources: tuple[SourceFile, ...]
    previous: StoredVersion | None
    kind: Kind = Kind.DEPLOY
    reason: str = ""
    environment: str = ""
    notes: tuple[str, ...] = ()


class Terms(Struct, frozen=True, kw_only=True):
    """What a deployment may do, and how many known-good versions beside the live one are kept."""

    unproved: bool = False
    breaking: bool = False
    no_return: bool = False
    keep: int = KEPT


class Examination(Struct, frozen=True, kw_only=True):
    """What a model said when it was asked: checks (`ready`, `golden`), and the proof where they passed."""

    checks: tuple[Check, ...]
    golden: GoldenProof | None = None


class Prover(Protocol):
    """Asks models. Nothing that a model does may raise: it is the answer of a check."""

    def examine(self, directory: Path) -> Examination:
        """Load the model of a directory and ask its golden requests."""

    def look_from_outside(self, release: Release, directory: Path) -> Examination:
        """Ask whatever answers requests now; `directory` is that of the version that should be live."""


class Deployment(Struct, frozen=True, kw_only=True):
    """What was done. `golden` is None where nothing was asked, or not all was answered; `freed` are old versions."""

    outcome: Outcome
    action: Action
    release: Release
    previous: StoredVersion | None
    checks: tuple[Check, ...] = ()
    golden: GoldenProof | None = None
    reason: str = ""
    environment: str = ""
    freed: tuple[str, ...] = ()


class CutOffError(BlockedError):
    """A deployment was cut off, and what asks its model is not here, so that it can neither be finished nor undone."""


class _Failure(Exception):  # noqa: N818 - a way out of the steps, which ends as a value
    """Checks that did not pass."""

    def __init__(self, reason: str, checks: tuple[Check, ...] = (), *, inconclusive: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.checks = checks
        self.inconclusive = inconclusive


@contextmanager
def blocking() -> Iterator[None]:
    """What goes wrong within stops a deployment before it has changed anything."""
    try:
        yield
    except BlockedError:
        raise
    except (ReleaseError, CompareError) as error:
        raise BlockedError(error.message, hint=error.hint) from error


def utc_now() -> datetime:
    """The time of the log."""
    return datetime.now(timezone.utc)


def apply(
    plan: DeploymentPlan,
    *,
    target: Target,
    prover: Prover,
    terms: Terms | None = None,
    trial: Trial | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Deployment:
    """Carry a plan out; however it ends, one version is live, and the result says which and how that is known.

    With a `trial` the version has to show more than its golden requests. Raises BlockedError where it must not begin.
    """
    terms = terms or Terms()
    with ExitStack() as stack:
        with blocking():
            stack.enter_context(target.lock())
            recover(target, prover, now)
            seen = target.observe()
            if _is_live(plan, seen, target):
                return Deployment(
                    outcome=Outcome.ALREADY_LIVE,
                    action=Action.NOTHING,
                    release=plan.release,
                    previous=plan.previous,
                    environment=plan.environment,
                )
            if seen.live != plan.previous:
                raise BlockedError(
                    "another deployment changed the target since this one was planned",
                    hint="deploy again, and a new plan is made",
                )
            if not terms.no_return:
                _demand_a_way_back(plan, seen, target)
            phases = trial.list_phases() if trial else ()
            if phases:
                _demand_routing(target)
        intent = _intend(plan, terms, routed=bool(phases))
        undertaking = _Undertaking(target=target, prover=prover, now=now, intent=intent)
        return undertaking.carry_out(plan, terms, trial, phases)


def _is_live(plan: DeploymentPlan, seen: Observation, target: Target) -> bool:
    if seen.live is None or seen.live.digest != plan.release.digest:
        return False
    same = plan.kind is Kind.DEPLOY or seen.live.version == plan.release.version
    return same and not target.verify(seen.live.version)


def _demand_a_way_back(plan: DeploymentPlan, seen: Observation, target: Target) -> None:
    """Nothing replaces a version that could not be put back, but the same bytes once more, or an earlier version."""
    if seen.live is None or plan.kind is Kind.ROLLBACK:
        return
    live, log = seen.live, target.read_log()
    logged = next((e.digest for e in reversed(log) if e.version == live.version and e.event is Outcome.LIVE), "")
    if plan.release.digest in (live.digest, logged):
        return
    if differences := (live.problem,) if live.problem else target.verify(live.version):
        raise BlockedError(
            f"version {live.version}, which is live, could not be put back: {'; '.join(differences)}",
            hint="deploy the commit that it is from, which makes it whole again, or `seatrial rollback`; "
            "--no-return goes on without a way back",
        )


def _demand_routing(target: Target) -> None:
    """Requests can be shared by versions here, and nobody else lets them."""
    routing = find_routing(target)
    if routing is None:
        raise BlockedError(
            "this target can't give a version a share of the requests",
            hint="take `canary` and `checks.shadow` out of the environment, or deploy to one that can: local, kserve",
        )
    if named := routing.read_route().versions:
        raise BlockedError(
            f"version {named[0]} has a share of the requests already, which no deployment gave it",
            hint="take that route away (of the target `local`: route.json), then deploy again",
        )


def _intend(plan: DeploymentPlan, terms: Terms, *, routed: bool) -> Intent:
    release, previous = plan.release, plan.previous
    return Intent(
        id=secrets.token_hex(8),
        kind=plan.kind,
        name=release.name,
        version=release.version,
        digest=release.digest,
        previous=previous.version if previous else "",
        previous_digest=previous.digest if previous else "",
        staged=plan.action is Action.STAGE,
        commit=release.commit,
        verdict=release.verdict,
        override=release.override,
        reason=plan.reason,
        unproved=terms.unproved,
        routed=routed,
        environment=plan.environment,
    )


def recover(target: Target, prover: Prover, now: Callable[[], datetime] = utc_now) -> DeploymentRecord | None:
    """Finish or undo a deployment that was cut off; the line of the log that tells it, None where there is none.

    One that had made its version live is finished if that version is what was meant and proves itself. The caller
    holds the target's lock.
    """
    entries = target.read_journal()
    if not entries:
        return None
    intent = entries[-1].intent
    undertaking = _Undertaking(target=target, prover=prover, now=now, intent=intent)
    told = next((entry for entry in target.read_log() if entry.id == intent.id), None)
    if told is not None:  # it was cut off after its end was written
        target.close_journal()
        return told
    return undertaking.pick_up(reverting=any(entry.step is Step.REVERT for entry in entries))


class _Undertaking(Struct, frozen=True, kw_only=True):
    """One deployment on its way; all that it does can be done from the journal's intent alone."""

    target: Target
    prover: Prover
    now: Callable[[], datetime]
    intent: Intent

    def carry_out(
        self, plan: DeploymentPlan, terms: Terms, trial: Trial | None, phases: tuple[Phase, ...]
    ) -> Deployment:
        """All steps; or those that were done, undone."""
        with watch_signals() as signals:
            try:
                try:
                    done = self._go_live(plan, terms, trial, phases, signals)
                    signals.ignore()
                    self._end(Outcome.LIVE, checks=done.checks, golden=done.golden)
                finally:
                    signals.ignore()
            except Interrupted:
                return self._undo(plan, _Failure(_CANCELLED))
            except _Failure as failure:
                return self._undo(plan, failure)
            except ReleaseError as error:
                return self._undo(plan, _Failure(error.message))
            except BaseException as error:
                self._undo(plan, _Failure(f"{type(error).__name__}: {error}"))
                raise
            freed = _collect_garbage(self.target, terms.keep)
        return Deployment(
            outcome=Outcome.LIVE,
            action=plan.action,
            release=plan.release,
            previous=plan.previous,
            checks=done.checks,
            golden=done.golden,
            environment=plan.environment,
            freed=freed,
        )

    def _go_live(
        self,
        plan: DeploymentPlan,
        terms: Terms,
        trial: Trial | None,
        phases: tuple[Phase, ...],
        signals: Interruption,
    ) -> Examination:
        """Stage, prove, try out, promote, bake; the last examination. Raises _Failure."""
        version = self.intent.version
        self._begin(Step.STAGE, signals)
        directory = self.target.stage(plan.release, plan.sources) if self.intent.staged else self.target.locate(version)
        self._demand((self._identify(),))
        self._begin(Step.PROVE, signals)
        examined = self.prover.examine(directory)
        self._demand((*self._compare_schema(plan, terms), *examined.checks))
        tried = self._try_out(plan.release, directory, trial, phases, signals)
        self._begin(Step.PROMOTE, signals)
        with signals.held():
            self.target.promote(version)
            self._end_sharing()
        self._begin(Step.BAKE, signals)
        baked = self._bake(plan.release)
        self._demand(baked.checks)
        lived = self._ask(trial.look_back(plan.release, self.target.locate(version))) if trial else ()
        self._begin(Step.RECORD, signals)
        return Examination(checks=(*tried, *baked.checks, *lived), golden=baked.golden)

    def _try_out(
        self,
        release: Release,
        directory: Path,
        trial: Trial | None,
        phases: tuple[Phase, ...],
        signals: Interruption,
    ) -> tuple[Check, ...]:
        """Measure the version, then let it answer beside the live one, and more and more in its place."""
        if trial is None:
            return ()
        checks = self._ask(trial.measure(directory))
        for phase in phases:
            self._begin(Step.ROUTE, signals)
            with signals.held():
                self._routing.route(phase.route)
            checks += self._ask(trial.watch(phase, release, directory), lenient=phase.lenient)
        return checks

    def _ask(self, checks: tuple[Check, ...], *, lenient: bool = False) -> tuple[Check, ...]:
        """Checks of a trial, of which none need be there; `lenient` lets those pass that can't be judged."""
        counting = tuple(check for check in checks if not (lenient and check.answer is Answer.INCONCLUSIVE))
        if counting:
            self._demand(counting)
        return checks

    @property
    def _routing(self) -> Routing:
        routing = find_routing(self.target)
        if routing is None:
            raise ReleaseError(
                f"version {self.intent.version} has a share of the requests, which this kind of target can't take away",
                hint="name the --target that the deployment was begun with",
            )
        return routing

    def _end_sharing(self) -> bool:
        """Take the share from the version again that this deployment gave it; whether it was one of the requests."""
        if not self.intent.routed:
            return False
        try:
            shared = any(self._routing.read_route().weights.values())
        except ReleaseError:  # it can't be told, so it may have been
            shared = True
        self._routing.route(Route())
        return shared

    def _begin(self, step: Step, signals: Interruption) -> None:
        with signals.held():
            self._note(step)

    def _note(self, step: Step) -> None:
        self.target.write_journal(JournalEntry(time=self.now().isoformat(), step=step, intent=self.intent))

    def _identify(self) -> Check:
        """Whether the version's bytes are, on the target, those that were meant."""
        return _identify(self.target, self.intent.version, self.intent.digest)

    def _compare_schema(self, plan: DeploymentPlan, terms: Terms) -> tuple[Check, ...]:
        """Whether requests that the live version takes will still be taken; no check where it does not say."""
        if plan.previous is None or plan.previous.problem or plan.kind is Kind.ROLLBACK:
            return ()
        live, candidate = self.target.read_release(plan.previous.version).signature, plan.release.signature
        if live is None or candidate is None:
            return ()
        return (_check_schema(live, candidate, breaking=terms.breaking),)

    def _bake(self, release: Release) -> Examination:
        """Look from outside: which digest is live, and does it answer as it was evaluated."""
        live = self.target.observe().live
        if live is None or (live.version, live.digest) != (self.intent.version, self.intent.digest):
            found = f"version {live.version}" if live else "nothing"
            return Examination(checks=(Check(name="identity", answer=Answer.FAIL, detail=f"{found} is live"),))
        identity = self._identify()
        if not identity.passed:
            return Examination(checks=(identity,))
        outside = self.prover.look_from_outside(release, self.target.locate(live.version))
        return Examination(checks=(identity, *outside.checks), golden=outside.golden)

    def _demand(self, checks: tuple[Check, ...]) -> None:
        answer = judge_checks(checks, unproved=self.intent.unproved)
        if answer is Answer.PASS:
            return
        bad = [check for check in checks if check.answer is answer]
        reason = "; ".join(f"{check.name}: {check.detail or check.answer.value}" for check in bad)
        raise _Failure(reason or "nothing was checked", checks, inconclusive=answer is Answer.INCONCLUSIVE)

    def _end(
        self,
        outcome: Outcome,
        *,
        checks: tuple[Check, ...] = (),
        golden: GoldenProof | None = None,
        reason: str = "",
    ) -> DeploymentRecord:
        """Write down how it ended, then close the journal; one that stays open is closed by the next command."""
        record = make_record(
            self.intent, outcome, time=self.now().isoformat(), checks=checks, golden=golden, reason=reason
        )
        self.target.record(record)
        with suppress(ReleaseError):
            self.target.close_journal()
        return record

    def _undo(self, plan: DeploymentPlan, failure: _Failure) -> Deployment:
        """Put back what was live before, and say so."""
        record = self._compensate(failure)
        return Deployment(
            outcome=record.event,
            action=plan.action,
            release=plan.release,
            previous=plan.previous,
            checks=record.checks,
            reason=record.reason,
            environment=plan.environment,
        )

    def _compensate(self, failure: _Failure, *, cut_off: bool = False) -> DeploymentRecord:
        """Undo in reverse: its share of the requests, the pointer, the staged version; then prove what is live."""
        reason, shared, moved = failure.reason, False, False
        try:
            shared, moved = self._put_back()
            problem = self._explain_unrestored(moved=moved)
        except (SeatrialError, OSError) as error:
            problem = str(error)
        outcome = Outcome.REVERTED if shared or moved else Outcome.REFUSED
        if failure.inconclusive:
            outcome = Outcome.INCONCLUSIVE
        if cut_off:
            outcome = Outcome.ABANDONED
        if problem:
            outcome, reason = Outcome.NOT_RESTORED, f"{reason}; what was live before is not proved: {problem}"
        try:
            return self._end(outcome, checks=failure.checks, reason=reason)
        except (ReleaseError, OSError) as error:  # the journal stays open, and the next command tells it
            reason += f"; the log could not be written: {error}"
            return make_record(self.intent, outcome, time=self.now().isoformat(), checks=failure.checks, reason=reason)

    def _put_back(self) -> tuple[bool, bool]:
        """Move the pointer back where it was moved, and take a staged version away.

        Whether the version had a share of the requests, and whether the pointer was moved.
        """
        with suppress(ReleaseError):  # a full disk must not keep us: what is to be undone is seen without it
            self._note(Step.REVERT)
        try:
            shared = self._end_sharing()
        finally:  # a share that stays must not keep the pointer where it is
            moved = self._move_back()
        if self.intent.staged:
            self.target.retire(self.intent.version)
        return shared, moved

    def _move_back(self) -> bool:
        live = self.target.observe().live
        moved = live is not None and live.version == self.intent.version
        if moved and self.intent.previous:
            self.target.promote(self.intent.previous)
        elif moved:
            self.target.withdraw()
        return moved

    def _explain_unrestored(self, *, moved: bool) -> str:
        """Why what is live now is not proved to be what was live before; empty where it is.

        Its bytes are proved in any case. It may not fail its own golden requests, perhaps it has none; that it can't be
        asked here counts only if it was `moved` away from in between.
        """
        live, wanted = self.target.observe().live, self.intent.previous
        if not wanted:
            return f"version {live.version} is live" if live else ""
        if live is None or live.version != wanted:
            return f"version {live.version if live else 'none'} is live instead of {wanted}"
        identity = _identify(self.target, wanted, self.intent.previous_digest)
        if not identity.passed:
            return identity.detail
        checks = self.prover.examine(self.target.locate(wanted)).checks
        counting = {Answer.FAIL, Answer.ERROR} if moved else {Answer.FAIL}
        return "; ".join(check.detail for check in checks if check.answer in counting)

    def pick_up(self, *, reverting: bool) -> DeploymentRecord:
        """Go on where another process was cut off."""
        live = self.target.observe().live
        if reverting or live is None or live.version != self.intent.version:
            return self._compensate(_Failure(_CUT_OFF), cut_off=True)
        try:
            baked = self._bake(self.target.read_release(live.version))
            if judge_checks(baked.checks, unproved=self.intent.unproved) is Answer.ERROR:
                said = "; ".join(check.detail for check in baked.checks if check.answer is Answer.ERROR)
                raise CutOffError(
                    f"a deployment of {self.intent.name} {live.version} was cut off, and can't be judged here: {said}",
                    hint="run `seatrial status` where the model can be asked",
                )
            self._demand(baked.checks)
            self._end_sharing()
        except _Failure as failure:
            reason = f"{_CUT_OFF}; {failure.reason}"
            return self._compensate(_Failure(reason, failure.checks), cut_off=True)
        except BlockedError:
            raise
        except ReleaseError as error:
            return self._compensate(_Failure(f"{_CUT_OFF}; {error.message}"), cut_off=True)
        return self._end(Outcome.LIVE, checks=baked.checks, golden=baked.golden, reason=_CUT_OFF)


def _identify(target: Target, version: str, digest: str) -> Check:
    """Whether a version has the digest that it should have, and bytes that are what its manifest says."""
    try:
        found = target.read_release(version).digest
        differences = target.verify(version) if found == digest else (f"its digest is {found}",)
    except ReleaseError as error:
        return Check(name="identity", answer=Answer.FAIL, detail=error.message)
    if differences:
        return Check(name="identity", answer=Answer.FAIL, detail=f"version {version}: {'; '.join(differences)}")
    return Check(name="identity", answer=Answer.PASS, detail=digest)


def _check_schema(live: Signature, candidate: Signature, *, breaking: bool) -> Check:
    differences = "; ".join(compare_signatures(live, candidate))
    if not differences:
        return Check(name="schema", answer=Answer.PASS)
    if breaking:
        return Check(name="schema", answer=Answer.PASS, detail=f"breaks, as was asked for: {differences}")
    return Check(name="schema", answer=Answer.FAIL, detail=f"{differences} (--breaking lets it through)")


def _collect_garbage(target: Target, keep: int) -> tuple[str, ...]:
    """Take away what nobody needs; what can't be taken away stays, and hinders nothing."""
    freed = []
    for version in choose_garbage(target.observe(), target.read_log(), keep=keep):
        with suppress(ReleaseError):
            target.retire(version)
            freed.append(version)
    return tuple(freed)


def plan_rollback(target: Target, version: str | None, *, reason: str = "", environment: str = "") -> DeploymentPlan:
    """Plan to make an earlier version live: the one asked for, or the last known-good one before the live one.

    Raises BlockedError where there is none, or its bytes are not what they were.
    """
    seen = target.observe()
    live = seen.live.version if seen.live else ""
    wanted = version or next(
        (found for found in list_ways_back(target.read_log()) if found != live and not target.verify(found)), None
    )
    stored = next((each for each in seen.versions if each.version == wanted), None)
    if wanted is None or stored is None:
        there = ", ".join(each.version for each in seen.versions) or "none"
        asked = f"version {wanted} is not on the target" if wanted else "no earlier version was ever proved live"
        raise BlockedError(f"{asked}, so there is nothing to go back to", hint=f"versions that are there: {there}")
    if differences := target.verify(stored.version):
        raise BlockedError(f"version {stored.version} was altered: {'; '.join(differences)}")
    return DeploymentPlan(
        action=Action.NOTHING if stored.version == live else Action.PROMOTE,
        release=target.read_release(stored.version),
        sources=(),
        previous=seen.live,
        kind=Kind.ROLLBACK,
        reason=reason,
        environment=environment,
    )
