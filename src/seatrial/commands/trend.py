"""The trend of the gated metrics on the branch that a change is compared with."""

from __future__ import annotations

from seatrial.charts.mermaid import line_chart
from seatrial.charts.sparkline import sparkline
from seatrial.charts.timeline import plot_series
from seatrial.core.comparison import Change, Comparison
from seatrial.core.document import Diagram
from seatrial.core.trend import Trend, list_values
from seatrial.core.verdict import Verdict
from seatrial.git import Repository

_MOST_COMMITS = 30
_MOST_METRICS = 6


def read_trends(repository: Repository, comparison: Comparison, verdict: Verdict) -> tuple[Trend, ...]:
    """What the last commits of the baseline's own line measured of each gated metric, the worst gate first.

    Only of metrics files that git tracks. A handful of metrics, a few dozen commits, and no process of its own: this is
    read for every report.
    """
    base = comparison.range.base
    wanted = _list_gated(comparison, verdict)
    if base is None or base.sha is None or not wanted:
        return ()
    from seatrial.sources.recent import read_recent

    files = dict.fromkeys(change.moved_from or change.id.file for change in wanted)
    recent = read_recent(repository, base.sha, files, most=_MOST_COMMITS)
    trends: list[Trend] = []
    for change in wanted:
        read = recent.get(change.moved_from or change.id.file, ())
        values = list_values(change, [metrics.values.get(change.id.key) for _, metrics in read])
        if values is None:
            continue
        chart = _draw(change, [commit.sha[:7] for commit, _ in read], values, base.name) if not trends else None
        trends.append(Trend(change=change, values=values, bars=sparkline(values), chart=chart))
    return tuple(trends)


def _list_gated(comparison: Comparison, verdict: Verdict) -> list[Change]:
    """The first gated metrics, in the order of the gates' table."""
    metrics = {change.id: change for change in comparison.metrics}
    gated = dict.fromkeys(gate.worst.id for gate in verdict.gates)
    return [metrics[identity] for identity in gated if identity in metrics][:_MOST_METRICS]


def _draw(change: Change, commits: list[str], values: tuple[float | None, ...], branch: str) -> Diagram | None:
    title = f"{change.id.dotted} on {branch}, then this change"
    labels = [*commits, "this change"]
    points = list(zip(labels, values, strict=True))
    source = line_chart(title=title, unit=change.id.dotted, points=points)
    return Diagram(title=title, source=source, still=plot_series(points)) if source else None
