"""The trusted half of judging: a stranger's numbers against our own baseline, by the base branch's own policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
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
from seatrial.core.evidence import EvaluationResult
from seatrial.core.facts import ReportFacts
from seatrial.core.handover import CI, Ground, list_unreproduced, name_all, refuse, take_over
from seatrial.core.handover_evidence import ExpectedEvaluation, ExpectedTable, take_evaluations, take_tables
from seatrial.core.metrics import Direction, Snapshot
from seatrial.core.phrases import count
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
    """What was measured, as the forge tells it: a head, the branch that it is to go into, and where it left that.

    `trusted` is the commit of the default branch that the job itself runs at, where there is such a job.
    """

    branch: str
    tip: str
    fork_point: str
    head: str
    run_url: str
    trusted: str | None = None


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
    base, notes = _read_base(repository, config, revisions, fetching)
    ground = Ground(range=revisions, base=base, direction_of=config.policy.direction_of)
    comparison, head = take_over(facts, ground)
    return _Rejudging(
        repository=repository,
        config=config,
        facts=facts,
        subject=subject,
        comparison=comparison,
        base=base,
        head=head,
        notes=notes,
    ).judge()


def _refuse_foreign_tree(repository: Repository, subject: Subject) -> None:
    """UsageError where the work tree may be the stranger's: DVC would run with its settings."""
    here = repository.head_sha()
    tip = repository.ensure_commit(subject.tip)
    if here not in {tip, subject.trusted} and repository.merge_base(tip, here) != here:
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


def _read_base(
    repository: Repository, config: Config, revisions: RevisionRange, fetching: Progress | None
) -> tuple[Snapshot | None, tuple[str, ...]]:
    """The baseline as git and DVC have it, and what is to be said of files that could not be fetched."""
    if revisions.base is None:
        return None, ()
    base = _read(repository, revisions.base)
    if fetching is None:
        return base, ()
    from seatrial.sources.fetching import MAX_SECONDS, Wanted, fetch_missing, is_elsewhere, list_missing

    tables = [Wanted(revision=base.revision, path=one.predictions) for one in config.evaluations]
    wanted = [*list_missing(base), *(one for one in tables if is_elsewhere(repository, one))]
    if not wanted:
        return base, ()
    fetching(f"fetching {count(len(wanted), 'file')} of the baseline that are not in the local cache: dvc fetch")
    reason = fetch_missing(repository, wanted, seconds=MAX_SECONDS)
    notes = (f"{', '.join(dict.fromkeys(one.path for one in wanted))}: {reason}",) if reason else ()
    return _read(repository, revisions.base), notes


# -- evidence and the verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rejudging:
    """One report while it is judged again: `comparison` is of the numbers in files, `base` and `head` its sides."""

    repository: Repository
    config: Config
    facts: ReportFacts
    subject: Subject
    comparison: Comparison
    base: Snapshot | None
    head: Snapshot
    notes: tuple[str, ...]

    def judge(self) -> Measurement:
        """The verdict on numbers, evidence and tables, with its report."""
        from seatrial.commands.trend import read_trends

        policy = self.config.policy
        expected = tuple(self._expect_evaluations())
        comparison = self._add_evidence(expected)
        beside = list_unreproduced(self.facts, self.base)
        verdict = evaluate(policy, comparison, beside=beside, today=datetime.now(timezone.utc).date())
        telling = Telling(
            policy_source=self.config.source,
            run_url=self.subject.run_url,
            notices=(MEASURED_ELSEWHERE,),
            notes=(*self.notes, *self._list_unchecked(expected)),
            trends=read_trends(self.repository, comparison, verdict) if policy.gates else (),
        )
        report = build_report(comparison, verdict, policy, telling)
        return Measurement(comparison=comparison, verdict=verdict, report=report)

    def _add_evidence(self, expected: tuple[ExpectedEvaluation, ...]) -> Comparison:
        """Estimates and tables as they were told; tests on repeated measurements are computed anew from the numbers."""
        names = name_all(self.base)
        evaluations = take_evaluations(self.facts.evaluations, expected, self.comparison, names)
        if self.config.repeats:
            from seatrial.commands.repeats import compare_repeats

            evaluations += compare_repeats(self.repository, self.config.repeats, self.base, self.head)
        tables = take_tables(self.facts.tables, tuple(self._expect_tables()), names)
        return replace(self.comparison, evaluations=evaluations, tables=tables)

    def _expect_evaluations(self) -> Iterator[ExpectedEvaluation]:
        own = self._measure_baseline()
        for one in self.config.evaluations:
            slicing = one.slicing
            yield ExpectedEvaluation(
                name=one.name,
                predictions=one.predictions,
                in_baseline=self._has_file(one.predictions),
                metrics_file=one.metrics_file,
                rules=one.rules,
                directions=_list_directions(one),
                required=slicing.required if slicing else (),
                min_n=slicing.min_n if slicing else 0,
                q=slicing.q if slicing else 0.05,
                same_set=one.pairing.value == "require",
                reused=self._count_uses(one),
                own=own.get(one.name),
            )

    def _measure_baseline(self) -> dict[str, EvaluationResult]:
        """What the baseline's own predictions say, compared with themselves; nothing of those that can't be read."""
        told = {one.name for one in self.facts.evaluations}
        wanted = tuple(one for one in self.config.evaluations if one.name in told)
        if self.base is None or not wanted:
            return {}
        from seatrial.commands.engines import LOCAL
        from seatrial.commands.evidence import gather_evidence

        gathered = gather_evidence(self.repository, Config(evaluations=wanted), self.base, self.base, engine=LOCAL)
        return {one.name: one for one in gathered.results if one.problem is None and one.n_base is not None}

    def _list_unchecked(self, expected: tuple[ExpectedEvaluation, ...]) -> Iterator[str]:
        told = {one.name for one in self.facts.evaluations if one.overall}
        for one in expected:
            if one.name in told and one.in_baseline and one.own is None:
                yield f"{one.name}: the baseline's values are told by {CI}, its predictions are not on this machine"

    def _count_uses(self, evaluation: Evaluation) -> int | None:
        if evaluation.budget is None or self.base is None or self.base.revision.sha is None:
            return None
        from seatrial.sources.history import count_uses

        return count_uses(self.repository, self.base.revision.sha, evaluation.budget, evaluation.predictions)

    def _expect_tables(self) -> Iterator[ExpectedTable]:
        for table in self.config.tables:
            there = self._has_file(table.path)
            yield ExpectedTable(name=table.name, path=table.path, in_baseline=there, role=table.role, rules=table.rules)

    def _has_file(self, path: str) -> bool:
        """Whether the baseline has a file at all: as an output of DVC, here or elsewhere, or in git."""
        if self.base is None:
            return False
        from seatrial.sources.snapshot import locate_out, read_text

        revision = self.base.revision
        out = locate_out(self.repository, revision, path)
        return out is not None or read_text(self.repository, revision, path) is not None


def _list_directions(evaluation: Evaluation) -> dict[str, Direction]:
    """Which way is better, by the name of every metric that the evaluation may tell of."""
    from seatrial.stats.names import SPECS

    specs = SPECS[evaluation.task]
    slicing = evaluation.slicing.measures if evaluation.slicing else ()
    measures = (*evaluation.measures, *(gap.measure for gap in evaluation.gaps), *slicing)
    rising = {name: spec.higher_is_better for name, spec in specs.items()}
    rising |= {str(measure): specs[measure.name].higher_is_better for measure in measures}
    return {name: Direction.HIGHER if up else Direction.LOWER for name, up in rising.items()}
