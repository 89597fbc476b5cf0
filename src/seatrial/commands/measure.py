"""What `compare` and `ci` have in common: read both sides, compare, judge, lay the report out."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from datetime import datetime, timezone
from functools import cache, partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from seatrial.charts.pipeline import draw_pipeline
from seatrial.commands.baseline import walk_back
from seatrial.config import Config
from seatrial.core.comparison import Comparison, add_contents, compare
from seatrial.core.document import Diagram
from seatrial.core.metrics import Snapshot
from seatrial.core.policy import evaluate
from seatrial.core.report import Report, build_report
from seatrial.core.revision import Revision, RevisionRange
from seatrial.core.verdict import Finding, Verdict
from seatrial.core.wording import Telling
from seatrial.errors import UsageError
from seatrial.git import Repository

if TYPE_CHECKING:
    from seatrial.commands.evidence import Gathered
    from seatrial.core.annotations import Lines
    from seatrial.core.data import TableDiff
    from seatrial.core.plots import Plots
    from seatrial.core.trend import Trend

Progress = Callable[[str], None]


class Selection(Struct, frozen=True, kw_only=True):
    """Which files count, and how much of them is told.

    Without `intervals` no predictions are read; `lean` leaves out what no gate needs. `taken_for` says what the targets
    are, `metrics` or `params`, whatever they are declared as. `engine` sums predictions, `local` or `ray`. Plots are
    read only where a format that shows them is asked for (`plots`).
    """

    targets: tuple[str, ...] = ()
    show_all: bool = False
    precision: int | None = None
    intervals: bool = True
    lean: bool = False
    engine: str = "local"
    taken_for: str | None = None
    plots: bool = False


class Measurement(Struct, frozen=True, kw_only=True):
    """A judged comparison, with its report."""

    comparison: Comparison
    verdict: Verdict
    report: Report


def measure(
    repository: Repository,
    revisions: RevisionRange,
    config: Config,
    selection: Selection,
    *,
    beside: tuple[Finding, ...] = (),
    run_url: str | None = None,
    notices: tuple[str, ...] = (),
    fetching: Progress | None = None,
) -> Measurement:
    """Compare two revisions and judge them by a policy, together with findings from elsewhere.

    Nothing is printed and nothing is sent. With `fetching`, which is told of it, what is nowhere on this machine is
    fetched by the user's own `dvc`.
    """
    looked_into = _narrow(config, selection)
    sides = _read_sides(repository, revisions, looked_into, selection, fetching)
    comparison, remarks = _compare_sides(repository, sides, looked_into, selection.engine)
    verdict = evaluate(config.policy, comparison, beside=beside, today=datetime.now(timezone.utc).date())
    telling = Telling(
        show_all=selection.show_all,
        precision=selection.precision,
        policy_source=config.source,
        run_url=run_url,
        notices=notices,
        notes=(*sides.notes, *remarks),
        pipeline=_draw_pipeline(sides.head, comparison),
        plots=_gather_plots(repository, sides.revisions, selection) if selection.plots else None,
        trends=_read_trends(repository, comparison, verdict) if config.policy.gates and not selection.lean else (),
        find_lines=partial(_find_lines, repository, sides.revisions.head, config, comparison),
    )
    report = build_report(comparison, verdict, config.policy, telling)
    return Measurement(comparison=comparison, verdict=verdict, report=report)


def _narrow(config: Config, selection: Selection) -> Config:
    """The policy without the evaluations and tables that nobody asks to be looked into."""
    reads_predictions = selection.intervals and (bool(config.policy.evidence) or not selection.lean)
    reads_tables = bool(config.policy.tables) or not selection.lean
    return replace(
        config,
        evaluations=config.evaluations if reads_predictions else (),
        tables=config.tables if reads_tables else (),
    )


class _Sides(Struct, frozen=True, kw_only=True):
    """Both sides as they were read, and what the report has to say of that."""

    revisions: RevisionRange
    base: Snapshot | None
    head: Snapshot
    notes: tuple[str, ...]


def _read_sides(
    repository: Repository, revisions: RevisionRange, config: Config, selection: Selection, fetching: Progress | None
) -> _Sides:
    """Read the candidate and the nearest baseline that was measured, after bringing what is not here."""
    from seatrial.sources.snapshot import Kind, read_snapshot
    from seatrial.sources.staleness import find_stale

    kind = Kind(selection.taken_for) if selection.taken_for else None

    @cache
    def read(revision: Revision) -> Snapshot:
        return read_snapshot(repository, revision, selection.targets, kind)

    def holds_any(revision: Revision) -> bool:
        return read(revision).holds_metrics or bool(selection.targets and read(revision).params)

    notes: tuple[str, ...] = ()
    chosen = walk_back(repository, revisions, holds_any)
    base, head = read(chosen.base) if chosen.base else None, read(chosen.head)
    if selection.targets:
        _refuse_unknown_targets(repository, selection.targets, base, head)
    if fetching:
        from seatrial.commands.fetching import Sides, bring_missing

        tables = tuple(evaluation.predictions for evaluation in config.evaluations)
        found = Sides(base=base, head=head)
        again = bring_missing(repository, found, tables, read.__wrapped__, fetching, data=config.tables)
        base, head, notes = again.base, again.head, again.notes
    staleness = find_stale(repository, chosen.head)
    head = replace(head, stale=staleness.stages)
    return _Sides(revisions=chosen, base=base, head=head, notes=(*staleness.notes, *notes))


def _compare_sides(
    repository: Repository, sides: _Sides, config: Config, engine: str
) -> tuple[Comparison, tuple[str, ...]]:
    """All that the sides say of each other, and remarks on what could not be said."""
    base, head = sides.base, sides.head
    told = config.evaluations or config.repeats
    gathered = _gather_evidence(repository, config, base, head, engine) if told else None
    intervals = gathered.intervals if gathered else {}
    comparison = compare(sides.revisions, base, head, direction_of=config.policy.direction_of, intervals=intervals)
    comparison = _look_into_directories(repository, comparison)
    if config.tables:
        comparison = replace(comparison, tables=_compare_tables(repository, config, base, head))
    if gathered is None:
        return comparison, ()
    return replace(comparison, evaluations=gathered.results), gathered.notes


def _find_lines(repository: Repository, head: Revision, config: Config, comparison: Comparison) -> Lines:
    from seatrial.commands.locating import locate

    return locate(repository, head, config, comparison)


def _gather_plots(repository: Repository, revisions: RevisionRange, selection: Selection) -> Plots | None:
    from seatrial.commands.plotting import gather_plots

    return gather_plots(repository, revisions, show_all=selection.show_all)


def _gather_evidence(
    repository: Repository, config: Config, base: Snapshot | None, head: Snapshot, engine: str
) -> Gathered:
    from seatrial.commands.evidence import gather_evidence

    return gather_evidence(repository, config, base, head, engine=engine)


def _compare_tables(
    repository: Repository, config: Config, base: Snapshot | None, head: Snapshot
) -> tuple[TableDiff, ...]:
    from seatrial.commands.data import compare_tables

    return compare_tables(repository, config.tables, base, head)


def _look_into_directories(repository: Repository, comparison: Comparison) -> Comparison:
    """Tell file by file how directories differ, where DVC's lists of them are on this machine."""
    pairs = [(file.base, file.head) for file in comparison.files if file.base and file.head]
    digests = {record.digest for pair in pairs for record in pair if record.digest.endswith(".dir")}
    if not digests:
        return comparison
    from seatrial.sources.listings import list_directories

    return add_contents(comparison, list_directories(repository, comparison.range.head, digests))


def _draw_pipeline(head: Snapshot, comparison: Comparison) -> Diagram | None:
    if not comparison.stages:
        return None
    from seatrial.charts.flow import plot_pipeline

    changed = {change.address for change in comparison.stages}
    source, still = draw_pipeline(head.stages, changed), plot_pipeline(head.stages, changed)
    if source is None and still is None:
        return None
    return Diagram(title="The pipeline, with the stages that changed marked", source=source or "", still=still)


def _read_trends(repository: Repository, comparison: Comparison, verdict: Verdict) -> tuple[Trend, ...]:
    from seatrial.commands.trend import read_trends

    return read_trends(repository, comparison, verdict)


def _refuse_unknown_targets(
    repository: Repository, targets: tuple[str, ...], base: Snapshot | None, head: Snapshot
) -> None:
    known = {file.path for side in (base, head) if side for file in (*side.metrics, *side.params)}
    for target in targets:
        wanted = posixpath.normpath(target) if target else target
        if wanted not in {".", *known} and not any(path.startswith(f"{wanted}/") for path in known):
            raise UsageError(
                f"--targets {target}: no metrics or parameters file of either side",
                hint=_list_declared(repository, [side.revision for side in (base, head) if side]),
            )


def _list_declared(repository: Repository, revisions: list[Revision]) -> str:
    """The files that could have been meant."""
    from seatrial.sources.snapshot import read_declarations

    sides = [read_declarations(repository, revision) for revision in revisions]
    metrics = {path for side in sides for path in side.metrics}
    params = {file.path for side in sides for file in side.params}
    return f"metrics files: {_name_some(metrics)}; parameters files: {_name_some(params)}"


def _name_some(paths: set[str]) -> str:
    more = f" and {len(paths) - 8} more" if len(paths) > 8 else ""
    return ", ".join(sorted(paths)[:8]) + more if paths else "none are declared"
