"""A history in every format is exactly what it was when somebody last looked at it.

After a change that is meant, `UPDATE_GOLDEN=1 python -m pytest tests/golden` writes the files anew; read the diff.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.commands.history import tell_history
from seatrial.commands.history_site import build_site
from seatrial.core.history import Commit, History, Reading, Series
from seatrial.core.metrics import Direction, Key, MetricId, State
from seatrial.core.policy import Policy
from seatrial.core.revision import Revision
from seatrial.render import RenderOptions
from seatrial.render.site import INDEX, render_site
from tests.golden.pages import settle

HERE = Path(__file__).parent / "histories"
FILE, OLD = "reports/metrics.json", "metrics.json"
FORMATS = {"terminal": "txt", "markdown": "md", "json": "json", "csv": "csv"}


def commit(at: int, subject: str) -> Commit:
    return Commit(sha=f"{at:x}" * 40, time=1_767_225_600 + at * 86_400, subject=subject)


def series(key: Key, direction: Direction | None, *readings: Reading) -> Series:
    return Series(id=MetricId(file=FILE, key=key), direction=direction, readings=readings)


def value(at: int, amount: float, last: int | None = None, file: str = FILE) -> Reading:
    return Reading(first=at, last=at if last is None else last, file=file, value=amount)


def gap(at: int, state: State, reason: str, last: int | None = None) -> Reading:
    return Reading(first=at, last=at if last is None else last, file=FILE, state=state, reason=reason)


HISTORY = History(
    branch=Revision(name="main", sha="7" * 40),
    commits=(
        commit(1, "Train the first model"),
        commit(2, "Move the metrics into reports/"),
        commit(3, "Merge branch 'more-trees'"),
        commit(4, "Resolve a conflict | badly"),
        commit(5, "Mend it, and say @everybody that it was #12, with a subject that goes on and on and on"),
        commit(6, "Change the notes"),
        commit(7, "Merge branch 'less-rate'"),
    ),
    series=(
        series(
            ("recall",),
            Direction.HIGHER,
            value(0, 0.7012, file=OLD),
            value(1, 0.7012),
            value(2, 0.7458),
            gap(3, State.UNREADABLE, f"{FILE}:3: holds conflict markers of a merge"),
            value(4, 0.7533, last=5),
            value(6, 0.7411),
        ),
        series(("latency", "p95_ms"), None, value(2, 41), gap(3, State.UNREADABLE, "not read"), value(4, 38, last=6)),
        series(
            ("=loss|<b>",),
            Direction.LOWER,
            value(0, 3.5e-5),
            value(1, 4.1e-5, last=2),
            gap(3, State.REMOVED, "the file does not hold it", last=6),
        ),
    ),
    words=(MetricId(file=FILE, key=("model",)),),
    notes=("this clone is shallow, older commits are not here: git fetch --unshallow (in CI: fetch-depth: 0)",),
)


@pytest.mark.parametrize("shape", FORMATS)
def test_history_is_the_golden_one(shape: str) -> None:
    """A history with gaps, a renamed file and names that want to be markup is rendered as the golden file says."""
    settle(
        HERE / f"history.{FORMATS[shape]}",
        tell_history(HISTORY, shape, RenderOptions(width=120), named=True, path=None),
    )


def test_the_index_of_the_site_is_the_golden_one() -> None:
    """The site's first page is the golden one; the others have charts, which change with the library."""
    settle(HERE / INDEX, render_site(build_site(HISTORY, Policy(), tell=print))[INDEX])


def test_no_golden_file_is_left_over() -> None:
    """Every golden file belongs to a test, so that none is kept that nobody checks."""
    assert {path.name for path in HERE.iterdir()} == {INDEX, *(f"history.{suffix}" for suffix in FORMATS.values())}
