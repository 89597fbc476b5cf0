"""`seatrial history --site`: the pages, put together and written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from seatrial.charts.sparkline import sparkline
from seatrial.charts.timeline import Limit, Moment, draw_timeline
from seatrial.commands.compare import load_config, write_together
from seatrial.commands.measure import Progress
from seatrial.core.document import Footnote, Text
from seatrial.core.history import History, Series
from seatrial.core.history_wording import (
    headline,
    point,
    table_readings,
    table_series,
    tell_chart,
    tell_notes,
    tell_span,
    tell_standing,
)
from seatrial.core.metrics import MetricId
from seatrial.core.naming import label_metrics
from seatrial.core.policy import Policy
from seatrial.errors import UsageError
from seatrial.git import Repository
from seatrial.render.history import render_csv, render_json
from seatrial.render.site import INDEX, METRICS, SIGNATURE, MetricPage, Site, render_site

_MOST_ROWS = 1_000
_EACH = 20  # charts between two words of progress


def write_site(
    history: History,
    directory: Path,
    place: Path,
    *,
    config_path: Path | None,
    git_dir: Path | None = None,
    tell: Progress,
) -> int:
    """Write the site into `place`, and remove pages that an earlier one had and this one has not; how many pages.

    UsageError where `place` holds something else: nothing of anybody's is overwritten.
    """
    _refuse_foreign(place)
    policy = load_config(Repository.discover(directory, git_dir), config_path).policy
    files = render_site(build_site(history, policy, tell))
    write_together({place / name: text for name, text in files.items()}, option="--site")
    stale = {page.name for page in (place / METRICS).glob("*.html")} - {Path(name).name for name in files}
    for name in stale:
        (place / METRICS / name).unlink(missing_ok=True)
    return sum(name.endswith(".html") for name in files)


def _refuse_foreign(place: Path) -> None:
    try:
        with os.scandir(place) as entries:
            names = {entry.name for entry in entries}
        index = (place / INDEX).read_text(encoding="utf-8", errors="replace") if INDEX in names else ""
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"--site {place}: {error.strerror}", hint="name a directory") from None
    if names and SIGNATURE not in index:
        raise UsageError(
            f"--site {place}: holds files that are not of an earlier site", hint="name a new or an empty directory"
        )


def build_site(history: History, policy: Policy, tell: Progress) -> Site:
    """The site as a value, with every chart drawn; UsageError where nothing is installed that draws."""
    labels = label_metrics([series.id for series in history.series])
    pages = []
    for at, series in enumerate(history.series):
        if at and at % _EACH == 0:
            tell(f"drew {at} of {len(history.series)} charts")
        pages.append(_build_page(history, series, labels, policy))
    lost = [series for series in history.series if series.readings[-1].value is None]
    return Site(
        name=str(history.branch),
        title=headline(history, lost),
        lead=(tell_span(history),),
        overview=table_series(history, labels, sparkline),
        pages=tuple(pages),
        notes=tuple(Footnote(line=(Text(note),)) for note in tell_notes(history)),
        csv=render_csv(history),
        json=render_json(history),
    )


def _build_page(history: History, series: Series, labels: Mapping[MetricId, str], policy: Policy) -> MetricPage:
    limits = _list_limits(series.id, policy)
    moments = [Moment(history.commits[reading.first].time, reading.value) for reading in series.readings]
    # What was measured last still stands at the newest commit.
    moments.append(Moment(history.commits[-1].time, series.readings[-1].value))
    table = table_readings(history, series, most=_MOST_ROWS)
    older = len(series.readings) - len(table.rows)
    return MetricPage(
        id=series.id,
        label=f"{labels[series.id]}{point(series.direction)}",
        lead=(tell_standing(history, series),),
        chart=draw_timeline(moments, limits),
        chart_words=tell_chart(series, [limit.value for limit in limits]),
        table=table,
        notes=(f"{older:,} older rows are in history.csv",) if older else (),
    )


def _list_limits(identity: MetricId, policy: Policy) -> tuple[Limit, ...]:
    """The absolute bounds that the policy sets a metric today."""
    bounds = [(name, bound) for rule in policy.rules if rule.matches(identity) for name, bound in rule.bounds.items()]
    return tuple(Limit(value=float(bound), floor=name == "at_least") for name, bound in bounds if bound is not None)
