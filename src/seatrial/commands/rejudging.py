"""The trusted half of judging: a stranger's numbers against our own baseline, by the base branch's own policy."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from seatrial.commands.baseline import walk_back
from seatrial.commands.compare import load_config, load_config_at, locate_config
from seatrial.commands.measure import Measurement, Progress
from seatrial.config import Config
from seatrial.core.comparison import Comparison
from seatrial.core.facts import ReportFacts
from seatrial.core.handover import CI, Ground, list_unreproduced, name_all, refuse, take_over
from seatrial.core.handover_evidence import ExpectedEvaluation, ExpectedTable, take_evaluations, take_tables
from seatrial.core.metrics import Direction, Snapshot
from seatrial.core.policy import evaluate
from seatrial.core.report import build_report
from seatrial.core.revision import Revision, RevisionRange
from seatrial.core.wording import Telling
from seatrial.errors import UsageError
from seatrial.git import Repository

if TYPE_CHECKING:
    from seatrial.config.evaluations import Evaluation

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
MEASURED_ELSEWHERE = f"Measured by {CI}; judged here, against the baseline in git."


class Subject(Struct, frozen=True, kw_only=True):
    """What was measured, as the forge tells it: a head, the branch that it is to go into, and where it left that."""

    branch: str
    tip: str
    fork_point: str
    head: str
    run_url: str


def judge_again(
    repository: Repository,
    facts: ReportFacts,
    subject: Subject,
    *,
    config_path: Path | None,
    fetching: Progress | None = None,
) -> Measurement:
    """Judge a report that nobody vouches for; CompareError where it can't be taken over.

    Of the report only the candidate's numbers and names count. With `fetching`, which is told of it, metrics of the
    baseline that are nowhere on this machine are fetched by the user's own `dvc`.
    """
    _refuse_foreign_tree(repository, subject)
    if facts.head.sha != subject.head:
        raise refuse(f"it is of commit {str(facts.head.sha)[:7]!a}, and the run was of {subject.head[:7]}")
    config = _load_policy(repository, subject, config_path)
    revisions = _choose_baseline(repository, facts, subject)
    base = _read_base(repository, revisions, fetching)
    ground = Ground(range=revisions, base=base, direction_of=config.policy.direction_of)
    comparison, head = take_over(facts, ground)
    comparison = _add_evidence(repository, config, facts, comparison, base, head)
    return _judge(repository, config, facts, comparison, base, subject)


def _refuse_foreign_tree(repository: Repository, subject: Subject) -> None:
    """UsageError where the work tree may be the stranger's: DVC would run with its settings."""
    here = repository.head_sha()
    tip = repository.ensure_commit(subject.tip)
    if here != tip and repository.merge_base(tip, here) != here:
        raise UsageError(
            f"the checked-out commit {here[:7]} is not of {subject.branch}: this job must not check the change out",
            hint=f"check out {subject.branch} (actions/checkout without `ref:` where that is the default branch)",
        )


def _load_policy(repository: Repository, subject: Subject, path: Path | None) -> Config:
    """The policy of the base branch's tip; a file outside of the repository is the job's own."""
    tip = Revision(name=subject.branch, sha=subject.tip)
    if path is not None and locate_config(repository, path) is None:
        return load_config(repository, path)
    config = load_config_at(repository, tip, path)
    if config is None and path is not None:
        raise UsageError(f"--config {path}: {tip} has no such file", hint="name a seatrial.yaml of the base branch")
    return replace(config, source=f"{config.source} of {tip}") if config else Config()


# -- the baseline


def _choose_baseline(repository: Repository, facts: ReportFacts, subject: Subject) -> RevisionRange:
    """The baseline that was compared with, if it is one that a run of this pull request could have had."""
    told = facts.base.sha if facts.base else None
    if facts.base and (told is None or not _COMMIT.fullmatch(told)):
        raise refuse(f"its baseline {str(told)[:60]!a} is no commit")
    start, reason = _start(repository, told, subject)
    chosen = RevisionRange(
        base=Revision(name=subject.branch, sha=start),
        head=Revision(name="this PR", sha=subject.head),
        reason=reason,
        moved=repository.count_between(start, subject.tip) or None,
    )
    walked = walk_back(repository, chosen, lambda revision: _read(repository, revision).holds_metrics)
    found = walked.base.sha if walked.base else None
    if found != told:
        ours = f"{walked.base} is" if walked.base else f"{subject.branch} has none with metrics, which is"
        raise refuse(f"it compares with {(told or 'nothing')[:7]}, where {ours} the baseline of this pull request")
    return walked


def _start(repository: Repository, told: str | None, subject: Subject) -> tuple[str, str]:
    """Where the search for metrics begins: where the change left the branch, or a tip that it was merged with since."""
    point = repository.ensure_commit(subject.fork_point)
    if repository.find_merge_base(subject.tip, point) != point:
        raise refuse(f"{subject.branch} does not hold the commit {point[:7]} any more, where the change left it")
    merged = repository.first_parents(subject.tip, most=repository.count_between(point, subject.tip) + 1)
    if told in merged and told != point and repository.merge_base(point, str(told)) == point:
        return str(told), "first parent of the tested merge"
    return point, f"merge base with {subject.branch}"


def _read(repository: Repository, revision: Revision) -> Snapshot:
    from seatrial.sources.snapshot import read_snapshot

    return read_snapshot(repository, revision)


def _read_base(repository: Repository, revisions: RevisionRange, fetching: Progress | None) -> Snapshot | None:
    if revisions.base is None:
        return None
    base = _read(repository, revisions.base)
    if fetching is None:
        return base
    from seatrial.sources.fetching import MAX_SECONDS, fetch_missing, list_missing

    wanted = list_missing(base)
    if not wanted:
        return base
    fetching(f"fetching {len(wanted)} files of the baseline that are not in the local cache: dvc fetch")
    fetch_missing(repository, wanted, seconds=MAX_SECONDS)
    return _read(repository, revisions.base)


# -- evidence


def _add_evidence(
    repository: Repository,
    config: Config,
    facts: ReportFacts,
    comparison: Comparison,
    base: Snapshot | None,
    head: Snapshot,
) -> Comparison:
    """Estimates and tables as they were told; tests on repeated measurements are computed anew from the numbers."""
    names = name_all(base)
    expected = tuple(_expect_evaluations(repository, config, base))
    evaluations = take_evaluations(facts.evaluations, expected, comparison, names)
    if config.repeats:
        from seatrial.commands.repeats import compare_repeats

        evaluations = (*evaluations, *compare_repeats(repository, config.repeats, base, head))
    tables = tuple(_expect_tables(repository, config, base))
    return replace(comparison, evaluations=evaluations, tables=take_tables(facts.tables, tables, names))


def _expect_evaluations(repository: Repository, config: Config, base: Snapshot | None) -> list[ExpectedEvaluation]:
    if not config.evaluations:
        return []
    from seatrial.config.evaluations import Pairing
    from seatrial.stats.names import SPECS

    def expect(one: Evaluation) -> ExpectedEvaluation:
        measures = (*one.measures, *(gap.measure for gap in one.gaps), *(one.slicing.measures if one.slicing else ()))
        rising = {str(measure): SPECS[one.task][measure.name].higher_is_better for measure in measures}
        rising |= {name: spec.higher_is_better for name, spec in SPECS[one.task].items() if name not in rising}
        return ExpectedEvaluation(
            name=one.name,
            predictions=one.predictions,
            in_baseline=base is not None and _has_file(repository, base.revision, one.predictions),
            metrics_file=one.metrics_file,
            rules=one.rules,
            directions={name: Direction.HIGHER if up else Direction.LOWER for name, up in rising.items()},
            required=one.slicing.required if one.slicing else (),
            min_n=one.slicing.min_n if one.slicing else 0,
            q=one.slicing.q if one.slicing else 0.05,
            same_set=one.pairing is Pairing.REQUIRE,
            reused=_count_uses(repository, one, base),
        )

    return [expect(one) for one in config.evaluations]


def _count_uses(repository: Repository, evaluation: Evaluation, base: Snapshot | None) -> int | None:
    if evaluation.budget is None or base is None or base.revision.sha is None:
        return None
    from seatrial.sources.history import count_uses

    return count_uses(repository, base.revision.sha, evaluation.budget, evaluation.predictions)


def _expect_tables(repository: Repository, config: Config, base: Snapshot | None) -> list[ExpectedTable]:
    return [
        ExpectedTable(
            name=table.name,
            path=table.path,
            in_baseline=base is not None and _has_file(repository, base.revision, table.path),
            role=table.role,
            rules=table.rules,
        )
        for table in config.tables
    ]


def _has_file(repository: Repository, revision: Revision, path: str) -> bool:
    from seatrial.sources.snapshot import locate_out, read_text

    return locate_out(repository, revision, path) is not None or read_text(repository, revision, path) is not None


# -- the verdict


def _judge(
    repository: Repository,
    config: Config,
    facts: ReportFacts,
    comparison: Comparison,
    base: Snapshot | None,
    subject: Subject,
) -> Measurement:
    from seatrial.commands.trend import read_trends

    beside = list_unreproduced(facts, base)
    verdict = evaluate(config.policy, comparison, beside=beside, today=datetime.now(timezone.utc).date())
    telling = Telling(
        policy_source=config.source,
        run_url=subject.run_url,
        notices=(MEASURED_ELSEWHERE,),
        trends=read_trends(repository, comparison, verdict) if config.policy.gates else (),
    )
    return Measurement(
        comparison=comparison, verdict=verdict, report=build_report(comparison, verdict, config.policy, telling)
    )
