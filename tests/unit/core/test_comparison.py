"""Comparing snapshots: every value has a state, and trouble has a reason."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.comparison import Change, Effect, Side, compare, measure_delta
from seatrial.core.metrics import FileRecord, MetricSet, Problem, StageRecord, State, Value
from tests.unit.core.snapshots import compare_values, file, range_of, snapshot

NAN = float("nan")


def only(base: dict[str, Any] | None, head: dict[str, Any]) -> Change:
    (change,) = compare_values(base, head).metrics
    return change


@pytest.mark.parametrize(
    ("base", "head", "state"),
    [
        ({"a": 1}, {"a": 1}, State.UNCHANGED),
        ({"a": 1}, {"a": 1.0}, State.UNCHANGED),
        ({"a": 0}, {"a": 0.5}, State.CHANGED),
        ({"a": True}, {"a": False}, State.CHANGED),
        ({"a": "x"}, {"a": "y"}, State.CHANGED),
        ({}, {"a": 1}, State.ADDED),
        ({"a": 1}, {}, State.REMOVED),
        ({"a": 1}, {"a": None}, State.MISSING),
        ({"a": None}, {"a": None}, State.MISSING),
        ({}, {"a": None}, State.MISSING),
        ({"a": 1}, {"a": NAN}, State.NOT_FINITE),
        ({"a": float("inf")}, {"a": 1}, State.NOT_FINITE),
        ({"a": 1}, {"a": "1"}, State.TYPE_CHANGED),
        ({"a": 1}, {"a": True}, State.TYPE_CHANGED),
    ],
)
def test_each_pair_of_values_has_one_state(base: dict[str, Any], head: dict[str, Any], state: State) -> None:
    """What DVC prints as a dash, or not at all, is told apart."""
    assert only(base, head).state is state


@pytest.mark.parametrize(("base", "head", "side"), [(1, NAN, Side.HEAD), (NAN, 1, Side.BASE), (NAN, NAN, Side.HEAD)])
def test_trouble_names_its_side(base: float, head: float, side: Side) -> None:
    """NaN on both sides is the candidate's trouble: it is never "no change"."""
    change = only({"a": base}, {"a": head})
    assert (change.side, change.reason) == (side, "the value is NaN, not a finite number")


def test_a_broken_file_breaks_each_value_that_the_other_side_has() -> None:
    """Metrics of a corrupt file are unreadable, not removed."""
    base = snapshot(file("m.json", {"a": 1, "b": 2}))
    comparison = compare(range_of(), base, snapshot(file("m.json", broken=State.UNREADABLE)))
    assert [(c.id.dotted, c.state, c.side) for c in comparison.metrics] == [
        ("a", State.UNREADABLE, Side.HEAD),
        ("b", State.UNREADABLE, Side.HEAD),
    ]


def test_a_broken_file_without_known_values_still_has_a_row() -> None:
    """A file that was never readable does not vanish."""
    comparison = compare(range_of(), snapshot(), snapshot(file("m.json", broken=State.MISSING)))
    assert [(str(c.id), c.state) for c in comparison.metrics] == [("m.json", State.MISSING)]


def test_values_behind_an_unreadable_project_file_are_not_called_added() -> None:
    """A broken dvc.yaml on the baseline may have declared them: DVC says "added" here."""
    blind = Problem(state=State.UNREADABLE, path="dvc.yaml", message="dvc.yaml:3 is not YAML")
    comparison = compare(range_of(), snapshot(problems=(blind,)), snapshot(file("m.json", {"a": 1})))
    (change,) = comparison.metrics
    assert (change.state, change.side, change.reason) == (State.NOT_COMPARABLE, Side.BASE, "dvc.yaml:3 is not YAML")


def test_values_below_a_directory_that_is_not_here_are_neither_added_nor_removed() -> None:
    """Nobody knows what is in it: a baseline's is not comparable, a candidate's is what the directory is."""
    whole, lost = snapshot(file("d/x.json", {"a": 1})), snapshot(file("d", broken=State.MISSING_CACHE))
    assert {str(c.id): (c.state, c.side) for c in compare(range_of(), lost, whole).metrics} == {
        "d": (State.MISSING_CACHE, Side.BASE),
        "d/x.json:a": (State.NOT_COMPARABLE, Side.BASE),
    }
    assert {str(c.id): (c.state, c.side) for c in compare(range_of(), whole, lost).metrics} == {
        "d": (State.MISSING_CACHE, Side.HEAD),
        "d/x.json:a": (State.MISSING_CACHE, Side.HEAD),
    }


Files = dict[str, dict[str, Any]]


@pytest.mark.parametrize(
    ("base", "head", "moves"),
    [
        ({"old.json": {"a": 1, "b": 2}}, {"new.json": {"a": 3, "b": 4}}, {"new.json": "old.json"}),
        ({"old.json": {"a": 1}, "k.json": {"a": 5}}, {"k.json": {"a": 5}, "n.json": {"a": 1}}, {"n.json": "old.json"}),
        ({"a": {"x": 1}, "b": {"x": 2}}, {"c": {"x": 2}, "d": {"x": 1}}, {"c": "b", "d": "a"}),
        ({"a": {"x": 1}, "b": {"x": 2}}, {"c": {"x": 2}}, {"c": "b"}),
        ({"a": {"x": 1}, "b": {"x": 2}}, {"c": {"x": 3}, "d": {"x": 4}}, {}),
        ({"a": {"x": 1}, "b": {"x": 1}}, {"c": {"x": 1}}, {}),
        ({"old.json": {"a": 1}}, {"new.json": {"a": 1, "b": 2}}, {}),
        ({"old.json": {}}, {"new.json": {}}, {}),
        ({"m.json": {"a": 1}}, {"m.json": {"b": 1}}, {}),
    ],
)
def test_a_renamed_file_has_moved(base: Files, head: Files, moves: dict[str, str]) -> None:
    """Its values are compared; where it is in doubt which file became which, they are removed and added."""
    before, after = (snapshot(*(file(path, values) for path, values in side.items())) for side in (base, head))
    changes = compare(range_of(), before, after).metrics
    assert {c.id.file: c.moved_from for c in changes if c.moved_from} == moves
    assert not [c for c in changes if c.moved_from and c.state not in {State.CHANGED, State.UNCHANGED}]
    assert not {c.id.file for c in changes} & set(moves.values())


def test_one_number_alone_tells_no_move_unless_it_is_the_same() -> None:
    """A file that is a single number has no keys to know it by."""
    before, same, other = (
        snapshot(MetricSet(path=path, values={(): value})) for path, value in (("a", 0.5), ("b", 0.5), ("b", 0.6))
    )
    assert [c.moved_from for c in compare(range_of(), before, same).metrics] == ["a"]
    assert [c.moved_from for c in compare(range_of(), before, other).metrics] == ["", ""]


def test_nothing_moves_where_a_side_can_not_be_read() -> None:
    """What is missing may be declared in what is broken."""
    blind = Problem(state=State.UNREADABLE, path="x/dvc.yaml", message="x/dvc.yaml:3 is not YAML")
    head = snapshot(file("new.json", {"a": 1}), problems=(blind,))
    assert not [c for c in compare(range_of(), snapshot(file("old.json", {"a": 1})), head).metrics if c.moved_from]


def test_directions_tell_better_from_worse() -> None:
    """A loss that falls is better; a metric of unknown direction has only changed."""
    effects = {
        c.id.dotted: c.effect
        for c in compare_values({"loss": 2, "f1": 0.5, "flights": 9}, {"loss": 1, "f1": 0.4, "flights": 8}).metrics
    }
    assert effects == {"loss": Effect.BETTER, "f1": Effect.WORSE, "flights": Effect.CHANGED}


def test_stages_say_why_they_differ() -> None:
    """Command, parameter and data are named; metrics files are not listed as data."""
    old = StageRecord(
        address="train",
        command="train 1",
        params={"params.yaml:lr": "1"},
        deps=(FileRecord(path="data", digest="a"),),
        outs=(FileRecord(path="m.json", digest="x"),),
    )
    new = StageRecord(
        address="train",
        command="train 2",
        params={"params.yaml:lr": "2"},
        deps=(FileRecord(path="data", digest="b"),),
        outs=(FileRecord(path="m.json", digest="y"),),
    )
    metrics = file("m.json", {"a": 1})
    comparison = compare(range_of(), snapshot(metrics, stages=(old,)), snapshot(metrics, stages=(new,)))
    assert [stage.because for stage in comparison.stages] == [("command", "parameter params.yaml:lr", "data")]
    assert [changed.path for changed in comparison.files] == ["data"]


def test_differences_are_exact_in_decimal() -> None:
    """0.3 − 0.2 is 0.1: a limit of 0.1 is met, whatever floats make of it."""
    delta = measure_delta(0.2, 0.3)
    assert delta is not None
    assert delta.absolute == Decimal("0.1")


values: st.SearchStrategy[Value] = st.one_of(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text(max_size=4)
)
metrics = st.dictionaries(st.text(min_size=1, max_size=4), values, max_size=5)


@given(metrics)
def test_a_side_equals_itself(side: dict[str, Any]) -> None:
    """compare(a, a) is all unchanged, with differences of zero."""
    comparison = compare_values(side, side)
    assert all(change.state is State.UNCHANGED for change in comparison.metrics)
    assert all(change.delta is None or change.delta.absolute == 0 for change in comparison.metrics)


@given(metrics, metrics)
def test_swapping_the_sides_turns_the_signs(first: dict[str, Any], second: dict[str, Any]) -> None:
    """The comparison has no favourite side."""
    there = {change.id: change for change in compare_values(first, second).metrics}
    back = {change.id: change for change in compare_values(second, first).metrics}
    assert there.keys() == back.keys()
    for name, change in there.items():
        if change.delta is not None:
            other = back[name].delta
            assert other is not None
            assert change.delta.absolute == -other.absolute


@pytest.mark.parametrize("digits", [400, 5000])
def test_an_integer_beyond_every_float_is_not_finite(digits: int) -> None:
    """A number of more digits than Python spells is a state with a reason, not a crash."""
    (change,) = compare_values({"a": 1}, {"a": 10**digits}).metrics
    assert (change.state, change.side) == (State.NOT_FINITE, Side.HEAD)
    assert change.reason == "the value is Infinity, not a finite number"


def test_large_integers_are_compared_exactly() -> None:
    """What a float would round away is a change all the same."""
    (change,) = compare_values({"a": 2**70}, {"a": 2**70 + 1}).metrics
    assert change.delta is not None
    assert change.delta.absolute == 1


def test_a_stage_that_depends_on_a_group_of_parameters_names_the_one_that_changed() -> None:
    """`boosting` has ten parameters; one of them was the reason."""
    stages = [
        StageRecord(address="train", command="x", params={"params.yaml:boosting": text})
        for text in ("{a: 1}", "{a: 2}")
    ]
    sides = [
        snapshot(file("m.json", {"x": 1}), params={"boosting": {"a": number, "b": 0}}, stages=(stage,))
        for number, stage in enumerate(stages)
    ]
    (changed,) = compare(range_of(), *sides).stages
    assert changed.because == ("parameter params.yaml:boosting.a",)


def test_a_parameter_may_be_null() -> None:
    """`class_weight: null` is a choice, not a missing value."""
    sides = [snapshot(file("m.json", {"x": 1}), params={"a": None, "b": value}) for value in (None, 1)]
    assert [change.state for change in compare(range_of(), *sides).params] == [State.UNCHANGED, State.TYPE_CHANGED]
