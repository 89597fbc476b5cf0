"""The trend of a gated metric: what the last merges measured, and this change as the last of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from seatrial.core.comparison import Change
from seatrial.core.document import Align, Block, Code, Column, Diagram, Folded, Line, Paragraph, Table, Text
from seatrial.core.metrics import MetricId, is_finite
from seatrial.core.numbers import choose_series_decimals, spell_value
from seatrial.core.phrases import arrow, count
from seatrial.core.revision import RevisionRange


class Trend(Struct, frozen=True, kw_only=True):
    """What the baseline's branch measured of a metric, oldest first, None where it was no number.

    The last value is the change's own. `bars` draw the values as one row; `chart` does where there is room.
    """

    change: Change
    values: tuple[float | None, ...]
    bars: str
    chart: Diagram | None = None


def list_values(change: Change, measured: Sequence[object]) -> tuple[float | None, ...] | None:
    """The values of a trend with the change's own at the end; None where too few of them are numbers for a trend."""
    values = tuple(
        value if isinstance(value, (int, float)) and is_finite(value) else None for value in (*measured, change.head)
    )
    known = sum(value is not None for value in values)
    return values if known >= _FEWEST and values[-1] is not None else None


_FEWEST = 3


def fold_trends(trends: Sequence[Trend], labels: Mapping[MetricId, str], revisions: RevisionRange) -> list[Block]:
    """The first trend as the title and the chart, and all of them as a table."""
    if not trends or revisions.base is None:
        return []
    first = trends[0]
    more = f", and {count(len(trends) - 1, 'other')}" if len(trends) > 1 else ""
    name = labels.get(first.change.id, first.change.id.dotted)
    told = f"The last {len(first.values) - 1} measurements of the branch, and this change as the last bar."
    return [
        Folded(
            summary=(Text(f"Trend of {name} on {revisions.base.name} {first.bars}{more}"),),
            blocks=(
                Paragraph(line=(Text(told),)),
                *((first.chart,) if first.chart else ()),
                _table(trends, labels, revisions),
            ),
        )
    ]


def _table(trends: Sequence[Trend], labels: Mapping[MetricId, str], revisions: RevisionRange) -> Table:
    titles = (
        ("metric", Align.LEFT),
        ("trend", Align.LEFT),
        ("lowest", Align.RIGHT),
        ("highest", Align.RIGHT),
        (str(revisions.base), Align.RIGHT),
        (str(revisions.head), Align.RIGHT),
    )
    return Table(
        columns=tuple(Column(title=(Text(title),), align=align) for title, align in titles),
        rows=tuple(_row(trend, labels) for trend in trends),
    )


def _row(trend: Trend, labels: Mapping[MetricId, str]) -> tuple[Line, ...]:
    known = [value for value in trend.values if value is not None]
    decimals = choose_series_decimals(known)
    change = trend.change
    cells = (min(known), max(known), change.base, change.head)
    return (
        (Code(labels.get(change.id, change.id.dotted)), Text(arrow(change))),
        (Text(trend.bars),),
        *((Text(spell_value(cell, decimals)),) for cell in cells),
    )
