"""What a log of deployments says of versions, and what several checks come to."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.core.deployment import (
    Answer,
    Check,
    DeploymentRecord,
    Kind,
    Observation,
    Outcome,
    StoredVersion,
    choose_garbage,
    judge_checks,
    list_known_good,
    list_ways_back,
)
from seatrial.core.release import Signature, TensorSpec, compare_signatures
from seatrial.errors import DeployExit


def tell(version: str, event: Outcome = Outcome.LIVE, kind: Kind = Kind.DEPLOY, previous: str = "") -> DeploymentRecord:
    """A line of the log."""
    return DeploymentRecord(
        time="", event=event, name="m", version=version, digest="", previous=previous, commit="", verdict="", kind=kind
    )


def observe(live: str, *versions: str) -> Observation:
    """A target with these versions."""
    stored = tuple(StoredVersion(version=version, digest="") for version in versions)
    return Observation(
        live=next((each for each in stored if each.version == live), None), versions=stored, next_version="9"
    )


def test_only_what_was_live_and_proved_is_known_good() -> None:
    """Refused and reverted versions are none, the latest comes first, and a later failure takes the name away."""
    log = [tell("1"), tell("2", Outcome.REFUSED), tell("3"), tell("1"), tell("3", Outcome.REVERTED)]
    assert list_known_good(log) == ("1",)
    assert list_known_good(log[:4]) == ("1", "3")


def test_rollbacks_do_not_go_back_and_forth() -> None:
    """What a rollback left behind is not where the next one goes, until it is deployed again."""
    log = [tell("1"), tell("2"), tell("3"), tell("2", kind=Kind.ROLLBACK, previous="3")]
    assert list_ways_back(log) == ("2", "1")
    assert list_ways_back([*log, tell("3")]) == ("3", "2", "1")


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("123456")),
    st.sampled_from("123456"),
    st.integers(0, 6),
    st.sets(st.sampled_from("123456")),
)
def test_garbage_is_never_what_is_needed(order: list[str], live: str, keep: int, named: set[str]) -> None:
    """Whatever the log: the live version, the last `keep` known-good ones and those that are named stay."""
    log = [tell(version) for version in order]
    garbage = set(choose_garbage(observe(live, *"123456"), log, keep=keep, named=named))
    good = [version for version in list_known_good(log) if version != live]
    assert garbage == set("123456") - {live, *good[:keep], *named}


def test_no_check_at_all_is_no_pass() -> None:
    """No data is inconclusive, the worst answer decides; no golden proof passes only where that is asked for."""
    assert judge_checks((), unproved=True) is Answer.INCONCLUSIVE
    for pair in product(Answer, repeat=2):
        checks = [Check(name="identity", answer=answer) for answer in pair]
        worst = next(a for a in (Answer.FAIL, Answer.ERROR, Answer.INCONCLUSIVE, Answer.PASS) if a in pair)
        assert judge_checks(checks, unproved=False) is judge_checks(checks, unproved=True) is worst
    golden = (Check(name="ready", answer=Answer.PASS), Check(name="golden", answer=Answer.INCONCLUSIVE))
    assert judge_checks(golden, unproved=False) is Answer.INCONCLUSIVE
    assert judge_checks(golden, unproved=True) is Answer.PASS


def test_exit_codes_are_those_that_scripts_rely_on() -> None:
    """Each way to end has its exit code."""
    codes = {outcome: outcome.exit_code for outcome in Outcome}
    assert codes == {
        Outcome.LIVE: DeployExit.LIVE,
        Outcome.ALREADY_LIVE: DeployExit.LIVE,
        Outcome.REFUSED: DeployExit.FAILED,
        Outcome.REVERTED: DeployExit.FAILED,
        Outcome.ABANDONED: DeployExit.FAILED,
        Outcome.INCONCLUSIVE: DeployExit.INCONCLUSIVE,
        Outcome.NOT_RESTORED: DeployExit.NOT_RESTORED,
    }
    assert [int(code) for code in DeployExit] == [0, 1, 2, 3, 4, 5]


def sign(*features: str, shape: tuple[int, ...] = (-1, 2), outputs: tuple[str, ...] = ("p",)) -> Signature:
    """A signature of one input."""
    return Signature(
        inputs=(TensorSpec(name="x", datatype="FP32", shape=shape),),
        outputs=tuple(TensorSpec(name=name, datatype="FP32", shape=(-1,)) for name in outputs),
        features=features,
    )


def test_only_what_breaks_a_caller_is_a_difference() -> None:
    """Looser shapes and new outputs are compatible; features that come, go or swap, and tighter shapes are not."""
    assert compare_signatures(sign("a", "b"), sign("a", "b", outputs=("p", "q"))) == ()
    assert compare_signatures(sign("a", "b", shape=(1, 2)), sign("a", "b")) == ()
    assert compare_signatures(sign(), sign("a", "b")) == ()
    assert compare_signatures(sign("a", "b"), sign("b", "a")) == ("the features have another order",)
    assert compare_signatures(sign("a", "b"), sign("a", "c")) == ("feature 'b' is gone", "feature 'c' is new")
    assert compare_signatures(sign("a", "b"), sign("a", "b", shape=(1, 2))) == (
        "input 'x' was FP32 [-1, 2] and is FP32 [1, 2]",
    )
    assert compare_signatures(sign(outputs=("p",)), sign(outputs=("q",))) == ("output 'p' is gone",)
