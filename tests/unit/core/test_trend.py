"""The trend in the report: told from three values on, and never from what is no number."""

from __future__ import annotations

from seatrial.core.comparison import Change
from seatrial.core.document import Folded, Table
from seatrial.core.metrics import Direction, MetricId, State, Value
from seatrial.core.revision import Revision, RevisionRange
from seatrial.core.trend import Trend, fold_trends, list_values

RANGE = RevisionRange(base=Revision(name="main", sha="5" * 40), head=Revision(name="pr", sha="6" * 40), reason="asked")


def change(head: Value, key: str = "recall") -> Change:
    return Change(
        id=MetricId(file="m.json", key=(key,)), state=State.CHANGED, base=0.8, head=head, delta=None,
        direction=Direction.HIGHER, interval=None,
    )  # fmt: skip


def test_the_change_is_the_last_value() -> None:
    """What the branch measured comes first; what was no number there is a gap."""
    assert list_values(change(0.7), [0.9, None, "text", True, float("nan"), 0.8]) == (0.9, *[None] * 4, 0.8, 0.7)


def test_two_values_are_no_trend() -> None:
    """The gates' table tells those already; and without the change's own value there is nothing to compare."""
    assert list_values(change(0.7), [0.8]) is None
    assert list_values(change(float("nan")), [0.7, 0.8, 0.9]) is None
    assert list_values(change(None), [0.7, 0.8, 0.9]) is None


def test_the_first_is_in_the_summary_and_all_are_in_the_table() -> None:
    """The worst gate's metric can be read without opening anything."""
    trends = [
        Trend(change=change(0.7), values=(0.9, 0.8, 0.7), bars="█▄▁"),
        Trend(change=change(0.7, "f1"), values=(0.9, 0.8, 0.7), bars="█▄▁"),
    ]
    [folded] = fold_trends(trends, {}, RANGE)
    assert isinstance(folded, Folded)
    assert [part.value for part in folded.summary if hasattr(part, "value")] == [
        "Trend of recall on main █▄▁, and 1 other"
    ]
    [table] = [block for block in folded.blocks if isinstance(block, Table)]
    assert len(table.rows) == 2
    assert fold_trends([], {}, RANGE) == []
