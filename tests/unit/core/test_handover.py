"""Reports that cross from a stranger's CI: an honest one says the same here, and what it says of main is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatrial.core.comparison import Comparison, compare
from seatrial.core.facts import ChangeFacts, FileFacts, FindingFacts, IntervalFacts, ReportFacts, StageFacts
from seatrial.core.handover import Ground, Names, list_unreproduced, make_interval, take_over
from seatrial.core.metrics import MetricId, Snapshot, StaleStage, State
from seatrial.core.policy import Policy, evaluate
from seatrial.core.report import build_report
from seatrial.core.verdict import Outcome
from seatrial.core.wording import Telling
from seatrial.errors import CompareError
from tests.unit.core.snapshots import file, range_of, snapshot

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.1, 0.5, 1e300, float("nan"), float("inf"), float("-inf"), 2**60, "text", "NaN"]),
)
FILES = st.dictionaries(
    st.sampled_from(["a.json", "b.json"]),
    st.one_of(
        st.dictionaries(st.sampled_from(["recall", "loss", "x"]), VALUES, min_size=1),
        st.sampled_from([State.MISSING, State.UNREADABLE, State.MISSING_CACHE]),
    ),
)


def read(files: Mapping[str, Any], **more: Any) -> Snapshot:
    """A side from files of values, or of states of trouble."""
    sets = [
        file(path, broken=found) if isinstance(found, State) else file(path, found)
        for path, found in sorted(files.items())
    ]
    return snapshot(*sets, **more)


def report(base: Snapshot | None, head: Snapshot, **how: Any) -> ReportFacts:
    """What the stranger's CI says, if it is honest."""
    comparison = compare(range_of(base is not None), base, head, **how)
    return build_report(comparison, evaluate(Policy(), comparison), Policy(), Telling()).facts


def cross(facts: ReportFacts, base: Snapshot | None) -> Comparison:
    """The same report on our side."""
    return take_over(facts, Ground(range=range_of(base is not None), base=base))[0]


def tell(comparison: Comparison) -> dict[MetricId, tuple[Any, ...]]:
    """What a policy sees of the metrics."""
    return {
        change.id: (change.state, change.side, change.delta, change.effect, str(change.base), str(change.head))
        for change in comparison.metrics
    }


@given(FILES, FILES)
def test_an_honest_report_says_the_same_here(base: Mapping[str, Any], head: Mapping[str, Any]) -> None:
    """Values, states, sides, differences: whatever both sides hold, and whatever of it can't be read."""
    before, after = read(base), read(head)
    assert tell(cross(report(before, after), before)) == tell(compare(range_of(), before, after))


@given(FILES, st.one_of(st.integers(-3, 3), st.sampled_from([0.25, "other", None, True])))
def test_another_baseline_never_stands(base: Mapping[str, Any], forged: Any) -> None:
    """Either it is refused, or our own value is the one that is compared with."""
    before, after = read(base), read({"a.json": {"recall": 0.7}})
    facts = report(before, after)
    changed = tuple(replace(change, base=forged) for change in facts.metrics)
    try:
        crossed = cross(replace(facts, metrics=changed), before)
    except CompareError as refused:
        assert "is refused" in refused.message  # noqa: PT017 - the other way out is as good
        return
    ours = {(one.path, key): value for one in before.metrics for key, value in one.values.items()}
    for change in crossed.metrics:
        assert str(change.base) == str(ours.get((change.moved_from or change.id.file, change.id.key)))


def test_a_side_that_is_not_told_means_the_candidate() -> None:
    """Trouble of which nobody says whose it is does not excuse the candidate."""
    before = read({"a.json": {"recall": 0.8}})
    facts = report(before, read({"a.json": State.UNREADABLE}))
    (change, *_) = (replace(each, side=None) for each in facts.metrics)
    (crossed,) = cross(replace(facts, metrics=(change,)), before).metrics
    assert (crossed.state, crossed.side and crossed.side.value) == (State.UNREADABLE, "head")


def test_what_the_stranger_could_not_read_of_the_baseline_we_can() -> None:
    """A cache that the fork's CI lacks hides nothing here."""
    told = report(read({"a.json": State.MISSING_CACHE}), read({"a.json": {"recall": 0.7}}))
    (crossed,) = cross(told, read({"a.json": {"recall": 0.8}})).metrics
    assert (crossed.base, crossed.head, crossed.state) == (0.8, 0.7, State.CHANGED)


def test_a_baseline_that_only_the_stranger_could_read_is_unknown() -> None:
    """Its word for the baseline's value is not taken: no difference is told."""
    told = report(read({"a.json": {"recall": 0.8}}), read({"a.json": {"recall": 0.9}}))
    crossed = cross(told, read({"a.json": State.MISSING_CACHE}))
    assert [change.delta for change in crossed.metrics] == [None]
    assert {change.state for change in crossed.metrics} == {State.MISSING_CACHE}


def test_a_renamed_file_is_compared_with_the_one_that_it_was() -> None:
    """As git and both files say, not as the report says."""
    before = read({"old.json": {"recall": 0.8}})
    crossed = cross(report(before, read({"new.json": {"recall": 0.7}})), before)
    assert [(change.moved_from, change.base, change.head) for change in crossed.metrics] == [("old.json", 0.8, 0.7)]


def test_stale_stages_and_unread_files_cross() -> None:
    """What the candidate's CI found wrong with it counts here too, in our words."""
    before = read({"a.json": {"recall": 0.8}})
    stale = (StaleStage(address="train", because=("train.py",)),)
    honest = replace(read({"a.json": {"recall": 0.8}}), stale=stale)
    facts = replace(report(before, honest), problems=())
    assert cross(facts, before).stale == stale
    (problem,) = report(before, replace(honest, problems=(read({"x": State.UNREADABLE}).metrics[0].problem,))).problems
    (sided,) = cross(replace(facts, problems=(replace(problem, message="<b>"),)), before).problems
    assert (sided.side.value, sided.problem.path) == ("head", "x")
    assert "says the pull request's own CI" in sided.problem.message


def test_files_and_stages_are_told_without_their_sentences() -> None:
    """Sizes below zero are no sizes, unknown states no states."""
    before = read({"a.json": {"recall": 0.8}})
    facts = report(before, before)
    counts = dict.fromkeys(("base_files", "head_files", "added", "removed", "modified"))
    data = FileFacts(path="da\u202eta", state="changed", base_size=-1, head_size=7, **counts)
    stage = StageFacts(stage="train", state="changed", because=("code\n",))
    crossed = cross(replace(facts, files=(data,), stages=(stage,)), before)
    (told,) = crossed.files
    assert (told.path, told.base and told.base.size, told.head and told.head.size) == ("data", None, 7)
    assert crossed.stages[0].because == ("code",)
    with pytest.raises(CompareError, match="is no state"):
        cross(replace(facts, stages=(replace(stage, state="superb"),)), before)


def test_an_interval_is_one_around_its_own_difference() -> None:
    """In order, at our level, with the difference in it: anything else is left out."""
    sound = IntervalFacts(low=-0.2, high=0.0, level=0.95, n=9, method="paired, t")
    assert make_interval(sound, -0.1)
    for forged in ({"low": 0.1}, {"level": 0.5}, {"n": -1}, {"high": -0.15}):
        assert make_interval(replace(sound, **forged), -0.1) is None
    told = make_interval(replace(sound, method="<img src=x>"), -0.1)
    assert told is not None
    assert told.method == "as told"


def test_names_are_cleaned_unless_the_baseline_has_them() -> None:
    """A name that looks like another is not taken for it, and none is endless."""
    names = Names(known=frozenset({"re\u200bcall"}))
    assert names.clean("re\u200bcall") == "re\u200bcall"
    assert names.clean("pre\u200bcision\n\ud800e\u0301") == "precision\u00e9"
    with pytest.raises(CompareError, match="5,000 characters"):
        names.clean("x" * 5_000)
    with pytest.raises(CompareError, match="100 parts"):
        names.clean_key(("x",) * 100)


def test_two_names_that_become_one_are_refused() -> None:
    """A second recall behind an invisible character does not hide the first."""
    before = read({"a.json": {"recall": 0.8}})
    facts = report(before, read({"a.json": {"recall": 0.7, "recall\u200b": 0.9}}))
    with pytest.raises(CompareError, match="twice"):
        cross(facts, before)


def test_metrics_that_did_not_come_out_stay_failed() -> None:
    """`--reproduce verify` says it in the fork's CI, and no rule of ours would know."""
    before = read({"a.json": {"recall": 0.8}})
    told = FindingFacts(
        file="a.json",
        key=("recall",),
        check="reproducible",
        limit="",
        outcome="passed",
        severity="info",
        reason="<b>",
        rule="",
    )
    (finding,) = list_unreproduced(replace(report(before, before), findings=(told,)), before)
    assert finding.id == MetricId(file="a.json", key=("recall",))
    assert finding.outcome is Outcome.FAILED
    assert "<b>" not in finding.reason


def test_parameters_cross_as_values() -> None:
    """They explain the change; null is a value of theirs."""
    before = snapshot(file("a.json", {"recall": 0.8}), params={"rate": 1, "gone": None})
    after = snapshot(file("a.json", {"recall": 0.8}), params={"rate": 2, "text": "x\u202ey"})
    crossed = cross(report(before, after), before)
    assert {change.id.dotted: change.head for change in crossed.params} == {"rate": 2, "gone": None, "text": "xy"}


def test_a_report_without_a_baseline_is_all_new() -> None:
    """The first measurement of all."""
    after = read({"a.json": {"recall": 0.7}})
    assert [change.state for change in cross(report(None, after), None).metrics] == [State.ADDED]


def test_facts_hold_the_side_of_trouble() -> None:
    """Without it nobody could tell on this side whose trouble it was."""
    (told,) = report(read({"a.json": {"recall": 0.8}}), read({"a.json": {"recall": None}})).metrics
    assert isinstance(told, ChangeFacts)
    assert (told.state, told.side) == ("missing", "head")


@pytest.mark.parametrize(("files", "keys", "said"), [(1, 100_001, "values"), (2_001, 1, "files")])
def test_more_than_anybody_looks_at_is_refused(files: int, keys: int, said: str) -> None:
    """Else a report of a few megabytes would keep the job busy for hours."""
    before = read({"a.json": {"recall": 0.8}})
    facts = report(before, before)
    (one,) = facts.metrics
    many = tuple(
        replace(one, file=f"{at}.json", key=(f"k{key}",), base=None, state="added")
        for at in range(files)
        for key in range(keys)
    )
    with pytest.raises(CompareError, match=said):
        cross(replace(facts, metrics=many), before)


def test_a_refusal_is_short_whatever_it_is_about() -> None:
    """It stands in a log, in a check's summary, and in a job's."""
    before = read({"a.json": {"recall": 0.8}})
    facts = report(before, before)
    forged = tuple(replace(change, base="<b>" * 100_000) for change in facts.metrics)
    with pytest.raises(CompareError) as refused:
        cross(replace(facts, metrics=forged), before)
    assert len(refused.value.message) < 300
