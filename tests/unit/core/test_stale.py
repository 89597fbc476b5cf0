"""Values that a stale stage made say so, whatever else is said of them."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from seatrial.core.comparison import Comparison, compare
from seatrial.core.metrics import FileRecord, Snapshot, StageRecord, StaleStage, State
from seatrial.core.policy import Policy, evaluate
from seatrial.core.report import build_report
from seatrial.core.wording import Telling
from seatrial.render import RENDERERS, RenderOptions
from tests.unit.core.snapshots import file, range_of, snapshot


def stage(name: str, deps: str, outs: str) -> StageRecord:
    """A stage with its files, blank between them."""
    records = [tuple(FileRecord(path=path, digest="1") for path in side.split()) for side in (deps, outs)]
    return StageRecord(address=name, command=name, deps=records[0], outs=records[1])


STAGES = (
    stage("evaluate", "models/m.bin test.csv", "eval"),
    stage("train", "train.py", "models train.json"),
    stage("other", "other.csv", "other.json"),
)
FILES = ("eval/m.json", "train.json", "other.json", "by-hand.json")


def head(*stale: StaleStage) -> Snapshot:
    """Four metrics files, three of them made by stages."""
    return replace(snapshot(*(file(path, {"auc": 2}) for path in FILES), stages=STAGES), stale=stale)


def base() -> Snapshot:
    """The same files with other values."""
    return snapshot(*(file(path, {"auc": 1}) for path in FILES), stages=STAGES)


def reasons(comparison: Comparison) -> dict[str, str]:
    return {change.id.file: change.stale for change in comparison.metrics if change.stale}


def test_a_stale_stage_makes_its_values_stale_and_those_behind_it() -> None:
    """What depends on a stale model is no more of this commit than the model."""
    found = reasons(
        compare(range_of(), base(), head(StaleStage(address="train", because=("train.py", "params.yaml:x"))))
    )
    why = "stage train is stale: train.py and 1 more changed since it ran"
    assert found == {"eval/m.json": why, "train.json": why}


def test_an_edited_output_alone_is_stale() -> None:
    """The other outputs of its stage are those that it made."""
    found = reasons(compare(range_of(), base(), head(StaleStage(address="train", edited=("train.json",)))))
    assert found == {"train.json": "is not what stage train made"}


def test_nothing_is_stale_without_a_stale_stage() -> None:
    """Most projects pay nothing for it."""
    assert reasons(compare(range_of(), base(), head())) == {}


def test_circles_of_stages_end() -> None:
    """A lock may say that two stages depend on each other."""
    circle = (stage("a", "y", "x"), stage("b", "x", "y"))
    side = replace(snapshot(file("y", {"a": 1}), stages=circle), stale=(StaleStage(address="a", because=("code.py",)),))
    assert reasons(compare(range_of(), None, side)).keys() == {"y"}


def test_state_and_verdict_stay_as_they_are() -> None:
    """It is said beside the state, and no gate is changed by it."""
    stale = compare(range_of(), base(), head(StaleStage(address="train", because=("train.py",))))
    fresh = compare(range_of(), base(), head())
    assert [change.state for change in stale.metrics] == [State.CHANGED] * 4
    assert [replace(change, stale="") for change in stale.metrics] == list(fresh.metrics)


@pytest.mark.parametrize("name", ["markdown", "terminal", "html"])
def test_people_see_the_word(name: str) -> None:
    """In the row of each value that is stale, and of no other."""
    comparison = compare(range_of(), base(), head(StaleStage(address="train", edited=("train.json",))))
    policy = Policy()
    report = build_report(comparison, evaluate(policy, comparison), policy, Telling(show_all=True))
    text = RENDERERS[name](report, RenderOptions())
    assert text.count("better, stale") == 1


def test_machines_read_the_reason() -> None:
    """JSON has it in each value; JUnit in the case of a value that is told of."""
    broken = replace(
        snapshot(file("train.json", broken=State.UNREADABLE), stages=STAGES),
        stale=(StaleStage(address="train", edited=("train.json",)),),
    )
    comparison = compare(range_of(), snapshot(file("train.json", {"a": 1}), stages=STAGES), broken)
    policy = Policy()
    report = build_report(comparison, evaluate(policy, comparison), policy, Telling())
    facts = json.loads(RENDERERS["json"](report, RenderOptions()))
    assert [one["stale"] for one in facts["metrics"]] == ["is not what stage train made"]
    assert "stale: is not what stage train made" in RENDERERS["junit"](report, RenderOptions())
