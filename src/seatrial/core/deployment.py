"""A deployment: what is meant to become live, the steps on the way, what was checked, and how it came out."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct

from seatrial.errors import DeployExit


class Answer(str, Enum):
    """What a check says; that there is nothing to tell by (`inconclusive`) is never a pass."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    ERROR = "error"
    INCONCLUSIVE = "inconclusive"


class Check(Struct, frozen=True, kw_only=True):
    """One question to a model or a target (`ready`, `identity`, `golden`, `schema`), and its answer."""

    name: str
    answer: Answer
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answer is yes, and no less."""
        return self.answer is Answer.PASS


class Kind(str, Enum):
    """Which command asked for a deployment."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"


class Step(str, Enum):
    """What a journal says is about to be done."""

    STAGE = "stage"
    PROVE = "prove"
    ROUTE = "route"
    PROMOTE = "promote"
    BAKE = "bake"
    RECORD = "record"
    REVERT = "revert"


class Outcome(str, Enum):
    """How a deployment came out.

    `refused`: it never got traffic. `reverted`: it got some, and what was live before has it all again. `abandoned`: it
    was cut off, and undone by the next command. `not-restored`: it failed, and what was live before is not proved.
    """

    LIVE = "live"
    ALREADY_LIVE = "already-live"
    REFUSED = "refused"
    REVERTED = "reverted"
    ABANDONED = "abandoned"
    INCONCLUSIVE = "inconclusive"
    NOT_RESTORED = "not-restored"

    @property
    def exit_code(self) -> DeployExit:
        """What the command ends with: a rollback that worked is a failed deployment all the same."""
        return _EXIT_CODES.get(self, DeployExit.FAILED)


_EXIT_CODES = {
    Outcome.LIVE: DeployExit.LIVE,
    Outcome.ALREADY_LIVE: DeployExit.LIVE,
    Outcome.INCONCLUSIVE: DeployExit.INCONCLUSIVE,
    Outcome.NOT_RESTORED: DeployExit.NOT_RESTORED,
}


class Intent(Struct, frozen=True, kw_only=True):
    """What a deployment is about to make live, with all that is needed to finish or undo it without its process.

    `previous` is the version that was live, empty where none was. `staged`: this deployment brings the version to the
    target, so undoing takes it away again. `unproved`: it may go live without golden requests. `routed`: it lets the
    version answer some of the requests first, so undoing takes those from it.
    """

    id: str
    kind: Kind
    name: str
    version: str
    digest: str
    previous: str
    previous_digest: str
    staged: bool
    commit: str
    verdict: str
    override: str = ""
    reason: str = ""
    unproved: bool = False
    routed: bool = False
    environment: str = ""


class JournalEntry(Struct, frozen=True, kw_only=True):
    """A line of the write-ahead journal: durable before the step begins; `time` is ISO 8601 in UTC."""

    time: str
    step: Step
    intent: Intent


class GoldenProof(Struct, frozen=True, kw_only=True):
    """Golden requests that the model answered as it was evaluated; `largest_error` is absolute."""

    rows: int
    largest_error: float


class DeploymentRecord(Struct, frozen=True, kw_only=True):
    """One line of a target's append-only log: a deployment that has ended; `time` is ISO 8601 in UTC."""

    time: str
    event: Outcome
    name: str
    version: str
    digest: str
    previous: str
    commit: str
    verdict: str
    id: str = ""
    kind: Kind = Kind.DEPLOY
    override: str = ""
    golden: GoldenProof | None = None
    checks: tuple[Check, ...] = ()
    reason: str = ""
    environment: str = ""


class StoredVersion(Struct, frozen=True, kw_only=True):
    """A version as its target's manifest states it; `problem` says why there is no digest."""

    version: str
    digest: str
    problem: str = ""


class Observation(Struct, frozen=True, kw_only=True):
    """What a target holds of one model: the live version, all versions, and the next number to give."""

    live: StoredVersion | None
    versions: tuple[StoredVersion, ...]
    next_version: str


def make_record(
    intent: Intent,
    event: Outcome,
    *,
    time: str,
    golden: GoldenProof | None = None,
    checks: tuple[Check, ...] = (),
    reason: str = "",
) -> DeploymentRecord:
    """The line of the log for a deployment that has ended."""
    return DeploymentRecord(
        time=time,
        event=event,
        id=intent.id,
        kind=intent.kind,
        name=intent.name,
        version=intent.version,
        digest=intent.digest,
        previous=intent.previous,
        commit=intent.commit,
        verdict=intent.verdict,
        override=intent.override,
        golden=golden,
        checks=checks,
        reason=reason or intent.reason,
        environment=intent.environment,
    )


def judge_checks(checks: Iterable[Check], *, unproved: bool) -> Answer:
    """The answer of several checks: the worst, where `unproved` lets a model pass that has no golden requests."""
    answers = {
        check.answer
        for check in checks
        if not (unproved and check.name == "golden" and check.answer is Answer.INCONCLUSIVE)
    }
    return next(
        (answer for answer in _WORST_FIRST if answer in answers), Answer.PASS if answers else Answer.INCONCLUSIVE
    )


_WORST_FIRST = (Answer.FAIL, Answer.ERROR, Answer.INCONCLUSIVE)


def list_known_good(log: Iterable[DeploymentRecord]) -> tuple[str, ...]:
    """The versions that have been live and proved, the latest first; one that failed since then is none of them.

    >>> list_known_good(())
    ()
    """
    good: dict[str, None] = {}
    for record in log:
        if record.event is Outcome.LIVE:
            good.pop(record.version, None)
            good[record.version] = None
        elif record.event is Outcome.REVERTED:
            good.pop(record.version, None)
    return tuple(reversed(good))


def list_ways_back(log: Iterable[DeploymentRecord]) -> tuple[str, ...]:
    """The known-good versions, the latest first, without those that a rollback left behind."""
    log = tuple(log)
    left: set[str] = set()
    for record in log:
        if record.event is Outcome.LIVE:
            left.discard(record.version)
            if record.kind is Kind.ROLLBACK:
                left.add(record.previous)
    return tuple(version for version in list_known_good(log) if version not in left)


def choose_garbage(
    seen: Observation, log: Iterable[DeploymentRecord], *, keep: int, named: Iterable[str] = ()
) -> tuple[str, ...]:
    """The versions that nobody needs: all but the live one, the last `keep` known-good ones, and those `named`."""
    live = seen.live.version if seen.live else ""
    good = [version for version in list_known_good(log) if version != live]
    kept = {live, *good[:keep], *named}
    return tuple(stored.version for stored in seen.versions if stored.version not in kept)
