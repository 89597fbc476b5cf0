"""The shapes of `dvc metrics diff` and `dvc params diff`, so that a script which reads them can read us.

Differences from DVC: the JSON is strict (a value that is not finite is null), differences are exact in decimal, a
number is never rounded to 0, the order is stable, and signs that would break the table are escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from seatrial.core.facts import ChangeFacts
from seatrial.core.report import Report
from seatrial.render import RenderOptions

_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
_DECIMALS = 5


def render_json(report: Report, options: RenderOptions) -> str:
    """`{path: {dotted.key: {old, new, diff}}}`, as `--json` of DVC has it."""
    import json

    files: dict[str, dict[str, dict[str, Any]]] = {}
    for change in _select(report, options):
        files.setdefault(change.file, {})[".".join(change.key)] = _entry(change)
    return json.dumps(files, ensure_ascii=False, allow_nan=False) + "\n"


def render_markdown(report: Report, options: RenderOptions) -> str:
    """The table that `--md` of DVC prints; empty where nothing differs."""
    rows = [_row(change, options) for change in _select(report, options)]
    if not rows:
        return ""
    base, head = (side.name if side else "-" for side in (report.facts.base, report.facts.head))
    header = ["Path", "Param" if options.params else "Metric", base, head, "Change"]
    table = [cells[1:] if options.no_path else cells for cells in ([_escape(cell) for cell in header], *rows)]
    widths = [max(len(cells[at]) for cells in table) for at in range(len(table[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
        for cells in table
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def _select(report: Report, options: RenderOptions) -> Iterable[ChangeFacts]:
    changes = report.facts.params if options.params else report.facts.metrics
    return (one for change in changes for one in _split_move(change) if options.show_all or one.state != "unchanged")


def _split_move(change: ChangeFacts) -> Iterable[ChangeFacts]:
    """A value whose file was renamed: DVC knows it as one that is gone and one that is new."""
    if change.moved_from is None:
        return (change,)
    old = replace(change, file=change.moved_from, state="removed", head=None, absolute=None, moved_from=None)
    return (old, replace(change, state="added", base=None, absolute=None, moved_from=None))


def _entry(change: ChangeFacts) -> dict[str, Any]:
    entry: dict[str, Any] = {"old": _plain(change.base), "new": _plain(change.head)}
    if change.absolute is not None:
        whole = isinstance(change.base, int) and isinstance(change.head, int)
        entry["diff"] = int(change.absolute) if whole else change.absolute
    return entry


def _plain(value: bool | float | str | None) -> bool | int | float | str | None:
    return None if isinstance(value, str) and value in _NOT_FINITE else value


def _row(change: ChangeFacts, options: RenderOptions) -> list[str]:
    places = _DECIMALS if options.precision is None else options.precision
    values = (change.base, change.head, change.absolute)
    return [_escape(cell) for cell in (change.file, ".".join(change.key), *(_spell(value, places) for value in values))]


def _spell(value: bool | float | str | None, decimals: int) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    rounded = round(value, decimals)
    return str(rounded) if rounded or not value else f"{value:.1e}"


def _escape(text: str) -> str:
    """A cell's text on one line, its columns kept."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("@", "@\u200b")
