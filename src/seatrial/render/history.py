"""A history for machines: strict JSON, and CSV that a spreadsheet can open without obeying what is in it."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec

from seatrial.core.history import History
from seatrial.core.history_facts import SCHEMA_VERSION, HistoryFacts, name_state, state_history
from seatrial.render.json import describe, encode

SCHEMA_ID = "https://github.com/seatrial/seatrial/blob/main/docs/reference/history.schema.json"
_COLUMNS = ("commit", "date", "commits", "file", "metric", "value", "state", "reason", "held_in")
# A spreadsheet takes a cell that begins with one of them for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render_json(history: History) -> str:
    """The facts, indented, ending with a newline."""
    return msgspec.json.format(encode(state_history(history)), indent=2).decode() + "\n"


def render_csv(history: History) -> str:
    """One row for each measurement and gap: metric by metric, from the oldest to the newest.

    `file` is the metric's newest, and `held_in` the one that held it then.
    Values have all their digits. A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for series in history.series:
        file, metric = _tame(series.id.file), _tame(series.id.dotted)
        for reading in series.readings:
            commit = history.commits[reading.first]
            value = "" if reading.value is None else repr(reading.value)
            held = reading.last - reading.first + 1
            state, reason = name_state(reading), _tame(reading.reason)
            held_in = _tame(reading.file)
            rows.writerow((commit.sha, commit.moment, held, file, metric, value, state, reason, held_in))
    return written.getvalue().encode("utf-8", "replace").decode()


def _tame(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the history's JSON, made from the classes in `seatrial.core.history_facts`."""
    return describe(HistoryFacts, SCHEMA_ID, "seatrial history", SCHEMA_VERSION)
