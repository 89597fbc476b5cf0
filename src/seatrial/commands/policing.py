"""What the doctor says of a policy: what it gates, what it names in vain, and whether its predictions can be read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from importlib.util import find_spec
from typing import TYPE_CHECKING

from seatrial.config import Config
from seatrial.core.checkup import Check, fail, fail_by, ok, shorten, skip, warn
from seatrial.core.metrics import MetricId, Snapshot
from seatrial.core.phrases import count
from seatrial.core.policy import suggest_name
from seatrial.core.revision import Revision
from seatrial.errors import CompareError
from seatrial.git import Repository

if TYPE_CHECKING:
    from seatrial.config.evaluations import Evaluation
    from seatrial.config.tables import DataTable

_EXTRAS = {"stats": ("numpy", "polars", "scipy"), "forges": ("github", "gitlab", "requests")}


def check_policy(config: Config, snapshot: Snapshot | None, today: date) -> list[Check]:
    """What the policy demands, and the rules and waivers that can't do what they were written for."""
    if config.source is None:
        message = "there is no seatrial.yaml: nothing is gated, except that a metric which can't be read fails"
        return [warn("policy", message, "seatrial init")]
    policy = config.policy
    known = _list_metrics(snapshot)
    vain = [_miss(rule.pattern, rule.place, known) for rule in policy.rules if not any(map(rule.matches, known))]
    ended = [
        warn(
            "policy", f"{waiver.place}: the waiver of {waiver.gate} ended on {waiver.until}", "mend it, or take it out"
        )
        for waiver in policy.waivers
        if waiver.until < today
    ]
    if not policy.gates:
        return [warn("policy", f"{config.source} gates nothing", "metrics:\n  accuracy: {max_decrease: 0.01}"), *ended]
    gated = [identity for identity in known if any(rule.gates and rule.matches(identity) for rule in policy.rules)]
    counts = ((len(policy.evidence), "on evidence"), (len(policy.tables), "on tables"))
    more = "".join(f", {count(number, 'rule')} {what}" for number, what in counts if number)
    gates = f"{len(gated):,} of {count(len(known), 'metric')} gated{more}"
    found = f"{config.source} is valid: {gates}; stale: {policy.stale.value}"
    return [ok("policy", found), *shorten(vain), *shorten(ended)]


def _list_metrics(snapshot: Snapshot | None) -> list[MetricId]:
    files = snapshot.metrics if snapshot else ()
    return [MetricId(file=file.path, key=key) for file in files for key in file.values]


def _miss(pattern: str, place: str, known: Sequence[MetricId]) -> Check:
    return fail("policy", f"{place}: no metric is called {pattern}", suggest_name(pattern, known))


def check_evidence(repository: Repository, config: Config, snapshot: Snapshot | None) -> list[Check]:
    """Whether the predictions and tables that the policy names are there, with the columns that it names."""
    if snapshot is None or not (config.evaluations or config.tables):
        return []
    if absent := _list_absent("stats"):
        return [skip("predictions", f"not read: {', '.join(absent)} not installed")]
    return [
        *(_check_evaluation(repository, one, snapshot) for one in config.evaluations),
        *(_check_table(repository, one, snapshot.revision) for one in config.tables),
    ]


def _check_evaluation(repository: Repository, evaluation: Evaluation, snapshot: Snapshot) -> Check:
    from seatrial.commands.answers import Answers, SidedError, find_origin
    from seatrial.core.comparison import Side

    try:
        origin = find_origin(repository, evaluation, snapshot, Side.HEAD)
        large = origin.is_large
        answers = Answers.read(evaluation, snapshot, Side.HEAD, origin, held=not large)
        if large:  # too many rows to look at each here
            origin.require_columns()
    except SidedError as error:
        return fail_by("predictions", error.cause)
    except CompareError as error:
        return fail_by("predictions", error)
    columns = evaluation.columns
    named = (*columns.key, columns.label, columns.score, columns.prediction)
    rows = f"{answers.predictions.size if answers.predictions else origin.count_rows():,} rows"
    return ok("predictions", f"{evaluation.predictions}: {rows} with {', '.join(name for name in named if name)}")


def _check_table(repository: Repository, table: DataTable, revision: Revision) -> Check:
    from seatrial.commands.data import locate_table
    from seatrial.sources.tables import OpenTable

    try:
        found = locate_table(repository, revision, table.path)
        opened = OpenTable.open(found.source, table) if found else None
    except CompareError as error:
        return fail_by("tables", error)
    if opened is None:
        return fail("tables", f"{table.path} is not on this machine", f"dvc pull {table.path}")
    return ok("tables", f"{table.path}: {opened.size:,} rows with {', '.join(table.key)}")


def check_extras(config: Config | None, *, needs_forge: bool) -> Check:
    """Whether what the policy and the job need is installed."""
    wanted = config is not None and bool(config.evaluations or config.tables or config.repeats)
    needed = {"stats": wanted, "forges": needs_forge}
    absent = [extra for extra in _EXTRAS if _list_absent(extra)]
    lacking = [extra for extra in absent if needed[extra]]
    if lacking:
        remedy = f"pip install 'seatrial[{','.join(lacking)}]'"
        return fail("extras", f"needed, but not installed: {', '.join(lacking)}", remedy)
    there = ", ".join(extra for extra in _EXTRAS if extra not in absent) or "none"
    return ok("extras", f"installed: {there}" + (f"; not needed here: {', '.join(absent)}" if absent else ""))


def _list_absent(extra: str) -> list[str]:
    return [name for name in _EXTRAS[extra] if find_spec(name) is None]
