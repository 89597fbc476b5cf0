"""The shapes of DVC's own diffs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seatrial.core.comparison import compare
from seatrial.core.policy import Policy, evaluate
from seatrial.core.report import Report, build_report
from seatrial.core.wording import Telling
from seatrial.render import RENDERERS, RenderOptions
from tests.unit.core.snapshots import compare_values, file, range_of, snapshot


def report_on(base: dict[str, Any], head: dict[str, Any]) -> Report:
    comparison = compare_values(base, head)
    policy = Policy()
    return build_report(comparison, evaluate(policy, comparison), policy, Telling())


def as_json(base: dict[str, Any], head: dict[str, Any], *, show_all: bool = False) -> Any:
    return json.loads(RENDERERS["dvc-json"](report_on(base, head), RenderOptions(show_all=show_all)))


@pytest.mark.parametrize(
    ("base", "head", "entry"),
    [
        ({"a": 0.3}, {"a": 0.2}, {"old": 0.3, "new": 0.2, "diff": -0.1}),
        ({"a": 200}, {"a": 300}, {"old": 200, "new": 300, "diff": 100}),
        ({"a": "x"}, {"a": "y"}, {"old": "x", "new": "y"}),
        ({}, {"a": 1}, {"old": None, "new": 1}),
        ({"a": 1}, {}, {"old": 1, "new": None}),
        ({"a": 1}, {"a": float("nan")}, {"old": 1, "new": None}),
    ],
)
def test_a_change_has_the_entry_that_dvc_gives_it(
    base: dict[str, Any], head: dict[str, Any], entry: dict[str, Any]
) -> None:
    """Old, new, and the difference of two numbers; NaN is null, since JSON has no NaN."""
    assert as_json(base, head) == {"metrics.json": {"a": entry}}


def test_a_renamed_file_is_gone_and_new_as_for_dvc() -> None:
    """DVC knows no renamed files, and a script that reads its shape is not told of any, changed or not."""
    comparison = compare(range_of(), snapshot(file("a.json", {"x": 1})), snapshot(file("b.json", {"x": 1})))
    report = build_report(comparison, evaluate(Policy(), comparison), Policy(), Telling())
    assert json.loads(RENDERERS["dvc-json"](report, RenderOptions())) == {
        "a.json": {"x": {"old": 1, "new": None}},
        "b.json": {"x": {"old": None, "new": 1}},
    }


def test_unchanged_values_are_shown_when_all_are_asked_for() -> None:
    """As with DVC's --all."""
    assert as_json({"a": 1}, {"a": 1}) == {}
    assert as_json({"a": 1}, {"a": 1}, show_all=True) == {"metrics.json": {"a": {"old": 1, "new": 1, "diff": 0}}}


def test_the_table_is_that_of_dvc() -> None:
    """Five decimals, dashes for what is not there."""
    table = RENDERERS["dvc-markdown"](report_on({"auc": 0.123456789, "b": 1}, {"auc": 0.2}), RenderOptions())
    assert table == (
        "| Path         | Metric | main    | work tree | Change  |\n"
        "|--------------|--------|---------|-----------|---------|\n"
        "| metrics.json | auc    | 0.12346 | 0.2       | 0.07654 |\n"
        "| metrics.json | b      | 1       | -         | -       |\n"
    )


def test_the_table_can_do_without_paths() -> None:
    """--no-path."""
    table = RENDERERS["dvc-markdown"](report_on({"auc": 1}, {"auc": 2}), RenderOptions(no_path=True, precision=1))
    assert table.splitlines()[0] == "| Metric | main | work tree | Change |"


def test_a_tiny_number_is_not_rounded_away() -> None:
    """1.2e-06 → 4.2e-06 is 0.0 → 0.0 in DVC's own table."""
    table = RENDERERS["dvc-markdown"](report_on({"a": 1.2e-06}, {"a": 4.2e-06}), RenderOptions())
    assert "| 1.2e-06 | 4.2e-06   | 3.0e-06 |" in table


def test_a_hostile_name_keeps_the_columns() -> None:
    """A pipe or a line's end is escaped."""
    table = RENDERERS["dvc-markdown"](report_on({}, {"a|b\n<img src=x> @all": 1}), RenderOptions())
    assert len(table.splitlines()) == 3
    assert "a\\|b &lt;img src=x>" in table


def test_nothing_is_an_empty_table() -> None:
    """As with DVC."""
    assert RENDERERS["dvc-markdown"](report_on({"a": 1}, {"a": 1}), RenderOptions()) == ""
