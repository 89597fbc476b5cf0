"""Series out of stretches: what is a reading, what is a gap, and which file goes on under another name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.history import Commit, Reading, Series, Stretch, Turn, build_series
from seatrial.core.metrics import Direction, MetricId, MetricSet, Problem, State, Value, guess_direction

PROBLEM = Problem(state=State.UNREADABLE, path="dvc.yaml", message="dvc.yaml:2: is not YAML")


def stretch(first: int, last: int, file: str = "m.json", **values: Value) -> Stretch:
    metrics = MetricSet(path=file, values={(key,): value for key, value in values.items()})
    return Stretch(metrics=metrics, first=first, last=last)


def broken(first: int, last: int, file: str = "m.json") -> Stretch:
    problem = Problem(state=State.UNREADABLE, path=file, message=f"{file}: is not JSON")
    return Stretch(metrics=MetricSet(path=file, values={}, problem=problem), first=first, last=last)


def build(
    *stretches: Stretch, turns: tuple[Turn, ...] = (), blind: dict[int, Problem] | None = None, newest: int
) -> dict[str, list[tuple[int, int, float | None, State | None]]]:
    """The readings of every series as (first, last, value, state)."""
    series, _ = build_series(
        stretches, turns, blind or {}, newest=newest, direction_of=lambda identity: guess_direction(identity.key)
    )
    return {str(one.id): [(r.first, r.last, r.value, r.state) for r in one.readings] for one in series}


def test_a_file_that_breaks_is_a_gap() -> None:
    """The values before and after stay; between them stands why there is none."""
    found = build(stretch(0, 3, a=1), broken(4, 5), stretch(6, 9, a=2), newest=9)
    assert found == {"m.json:a": [(0, 3, 1, None), (4, 5, None, State.UNREADABLE), (6, 9, 2, None)]}


def test_what_is_no_finite_number_is_a_gap() -> None:
    """NaN, null and a text instead of a number each have a state of their own."""
    stretches = (stretch(0, 0, a=1), stretch(1, 1, a=float("nan")), stretch(2, 2, a=None), stretch(3, 3, a="?"))
    [readings] = build(*stretches, newest=3).values()
    assert [state for *_, state in readings] == [None, State.NOT_FINITE, State.MISSING, State.TYPE_CHANGED]


def test_a_key_that_comes_later_has_no_gap_before_it() -> None:
    """Nobody measured it yet: that is not a value which is missing."""
    found = build(stretch(0, 4, a=1), stretch(5, 9, a=1, b=2), newest=9)
    assert found["m.json:b"] == [(5, 9, 2, None)]


def test_a_key_that_goes_is_told_to_the_end() -> None:
    """A metric that was dropped does not look as if it still stood at its last value."""
    found = build(stretch(0, 4, a=1, b=2), stretch(5, 9, a=1), newest=9)
    assert found["m.json:b"] == [(0, 4, 2, None), (5, 9, None, State.REMOVED)]


def test_a_commit_that_can_not_tell_what_it_declares_is_a_gap_with_that_reason() -> None:
    """A broken dvc.yaml is told apart from a metrics file that was removed for a while."""
    found = build(stretch(0, 3, a=1), stretch(6, 9, a=1), blind={4: PROBLEM}, newest=9)
    assert found["m.json:a"] == [
        (0, 3, 1, None),
        (4, 4, None, State.UNREADABLE),
        (5, 5, None, State.REMOVED),
        (6, 9, 1, None),
    ]


def test_a_file_that_was_never_readable_is_told() -> None:
    """No value at all is not no metric."""
    assert build(broken(0, 9), newest=9) == {"m.json": [(0, 9, None, State.UNREADABLE)]}


def test_texts_are_named_and_have_no_series() -> None:
    """What is never a number is listed, so that nobody looks for it in vain."""
    series, words = build_series([stretch(0, 0, a=1, b="x")], [], {}, newest=0, direction_of=lambda _: None)
    assert [one.id.dotted for one in series] == ["a"]
    assert [one.dotted for one in words] == ["b"]


def test_a_renamed_file_goes_on() -> None:
    """Two renames in a row: one series, under the last name, each reading with the file that held it."""
    stretches = (stretch(0, 2, "a.json", x=1), stretch(3, 5, "b.json", x=1), stretch(6, 9, "c.json", x=2))
    turns = (Turn(at=3, new=("b.json",), gone=("a.json",)), Turn(at=6, new=("c.json",), gone=("b.json",)))
    series, _ = build_series(stretches, turns, {}, newest=9, direction_of=lambda _: None)
    assert [str(one.id) for one in series] == ["c.json:x"]
    assert [reading.file for reading in series[0].readings] == ["a.json", "b.json", "c.json"]


def test_a_file_of_other_keys_is_another_file() -> None:
    """Where the old and the new share no keys, nothing is joined."""
    stretches = (stretch(0, 4, "a.json", x=1), stretch(5, 9, "b.json", y=1))
    found = build(*stretches, turns=(Turn(at=5, new=("b.json",), gone=("a.json",)),), newest=9)
    assert set(found) == {"a.json:x", "b.json:y"}


def test_a_name_that_was_in_use_before_is_not_taken_over() -> None:
    """The new name's own past stays its own."""
    stretches = (stretch(0, 2, "b.json", x=7), stretch(0, 4, "a.json", x=1), stretch(5, 9, "b.json", x=1))
    found = build(*stretches, turns=(Turn(at=5, new=("b.json",), gone=("a.json",)),), newest=9)
    assert [value for *_, value, _ in found["b.json:x"]] == [7, None, 1]
    assert [value for *_, value, _ in found["a.json:x"]] == [1, None]


NUMBERS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
FILES = st.lists(st.none() | st.dictionaries(st.sampled_from("ab"), NUMBERS, max_size=2), min_size=1, max_size=12)


@given(files=FILES)
def test_readings_cover_every_commit_to_the_last(files: list[dict[str, Value] | None]) -> None:
    """From its first reading on a series leaves out no commit, and has a finite value or a reason for each."""
    stretches = [stretch(at, at, "m.json", **held) for at, held in enumerate(files) if held is not None]
    newest = len(files) - 1
    series, _ = build_series(stretches, [], {}, newest=newest, direction_of=lambda _: None)
    for one in series:
        assert [reading.first for reading in one.readings[1:]] == [reading.last + 1 for reading in one.readings[:-1]]
        assert one.readings[-1].last == newest
        assert all((reading.value is None) == bool(reading.state and reading.reason) for reading in one.readings)


def test_the_best_is_the_newest_of_equals_on_the_better_side() -> None:
    """Lower is better for a loss; where nobody knows, there is no best."""
    readings = tuple(Reading(first=at, last=at, file="m", value=value) for at, value in enumerate((2.0, 1.0, 1.0, 3.0)))
    loss = Series(id=MetricId(file="m", key=("loss",)), direction=Direction.LOWER, readings=readings)
    assert loss.best is readings[2]
    assert Series(id=loss.id, direction=None, readings=readings).best is None


def test_any_time_has_a_date() -> None:
    """Somebody may write any number into a commit."""
    moments = [Commit(sha="a", time=time, subject="").moment for time in (-(10**20), 0, 10**20)]
    assert moments == ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
