"""Planning: what is foretold of a gate is what happens when the gate is asked again and again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatrial.core.document import Code, Document, Footnote, Line, Link, Mark, Paragraph, Sign, Table
from seatrial.core.evidence import Evidence, scale_samples
from seatrial.core.evidence_rules import Bound, Correction, EvidenceRule
from seatrial.core.metrics import Direction, Problem, State
from seatrial.core.planning import Prospect, foresee, write_plan
from seatrial.core.verdict import Outcome
from seatrial.stats.multiplicity import benjamini_hochberg
from seatrial.stats.power import minimum_detectable_effect
from tests.unit.core.evidence_cases import Z, absolute, evidence, judge, result, rule, share

NORMAL = NormalDist()
SE = 0.01
DRAWS = 1_500


def draw() -> Iterator[float]:
    """What an equal candidate is measured with: a standard normal, each part of it as often as it should be."""
    return (NORMAL.inv_cdf((number + 0.5) / DRAWS) for number in range(DRAWS))


def measured(delta: float, *, direction: Direction = Direction.HIGHER, base: float = 0.5, **more: Any) -> Evidence:
    """A candidate whose value lies `delta` above the baseline's, with the intervals that its noise makes."""
    head = base + delta
    ends = (delta - Z * SE, delta + Z * SE)
    own = (head - 0.03, head + 0.03)
    return evidence(base, head, ends, direction=direction, own=own, se=SE, n=2_000, **more)


def share_stopped(demand: EvidenceRule, make: Callable[[float], Evidence]) -> float:
    """The share of draws that the gate does not let pass."""
    outcomes = [judge(demand, result(make(z * SE))).outcome for z in draw()]
    return sum(outcome is not Outcome.PASSED for outcome in outcomes) / DRAWS


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(
    "demands",
    [
        *({check: absolute(margin)} for check in ("no_worse_than", "not_harmed", "better_by", "at_most_better_by")
          for margin in ("0", "0.005", "0.02", "0.03")),
        {"no_worse_than": share("0.05")},
        {"at_least": Decimal("0.495")},
        {"at_least": Decimal("0.46"), "bound": Bound.CONFIDENT},
        {"at_most": Decimal("0.51")},
        {"at_most": Decimal("0.52"), "bound": Bound.CONFIDENT},
    ],
)  # fmt: skip
def test_the_share_of_harmless_changes_that_a_gate_stops(direction: Direction, demands: dict[str, Any]) -> None:
    """As the rule itself answers to thousands of equal candidates."""
    demand = rule(direction=direction, **demands)
    (prospect,) = foresee([demand], [result(measured(0.004, direction=direction))])
    assert prospect.blocks == pytest.approx(
        share_stopped(demand, lambda delta: measured(delta, direction=direction)), abs=2 / DRAWS
    )
    assert not prospect.assumed


@pytest.mark.parametrize("correction", [Correction.BENJAMINI_HOCHBERG, Correction.NONE])
@pytest.mark.parametrize("margin", ["0.005", "0.04"])
def test_the_share_that_a_slice_stops(correction: Correction, margin: str) -> None:
    """One of ten, with the correction for their number."""

    def make(delta: float) -> Evidence:
        p = NORMAL.cdf(delta / SE)
        adjusted = float(benjamini_hochberg([p, *[0.5] * 9])[0]) if correction is not Correction.NONE else p
        return measured(delta, part="s0", p_worse=p, p_adjusted=adjusted)

    others = [measured(0.0, part=f"s{at}", p_worse=0.5, p_adjusted=0.5) for at in range(1, 10)]
    demand = rule(not_harmed=absolute(margin), sliced=True, correction=correction)
    prospects = foresee([demand], [result(slices=(make(0.0), *others))])
    outcomes = [judge(demand, result(slices=(make(z * SE), *others))).outcome for z in draw()]
    stopped = sum(outcome is not Outcome.PASSED for outcome in outcomes) / DRAWS
    assert prospects[0].blocks == pytest.approx(stopped, abs=2 / DRAWS)


@pytest.mark.parametrize("margin", ["0.005", "0.02", "0.1"])
def test_how_many_samples_are_enough(margin: str) -> None:
    """At that number an equal candidate passes in 4 of 5 cases; it is what the statistics say."""
    demand = rule(no_worse_than=absolute(margin))
    (prospect,) = foresee([demand], [result(measured(0.0))])
    assert prospect.enough is not None
    assert prospect.enough == math.ceil(2_000 * (minimum_detectable_effect(SE) / float(margin)) ** 2)
    assert prospect.detectable == pytest.approx(minimum_detectable_effect(SE))
    se = SE * (2_000 / prospect.enough) ** 0.5
    ends = (-Z * se, Z * se)
    (again,) = foresee([demand], [result(evidence(0.5, 0.5, ends, se=se, n=prospect.enough))])
    assert again.blocks == pytest.approx(0.2, abs=0.001)


@given(se=st.floats(1e-4, 0.1), n=st.integers(10, 10**6), margin=st.floats(1e-4, 0.1))
def test_enough_samples_bring_the_detectable_change_down_to_the_margin(se: float, n: int, margin: float) -> None:
    """At the answer the minimum detectable effect is within the margin, and at one row fewer it is not."""
    needed = math.ceil(scale_samples(n, minimum_detectable_effect(se), margin))

    def effect(rows: int) -> float:
        return minimum_detectable_effect(se * (n / rows) ** 0.5)

    assert effect(needed) <= margin * (1 + 1e-9)
    assert needed == 1 or effect(needed - 1) > margin * (1 - 1e-9)


def test_example_of_the_documentation() -> None:
    """A standard error of 0.0055 on 4,812 rows needs about 11,400 for a margin of 0.01."""
    assert math.ceil(scale_samples(4812, minimum_detectable_effect(0.0055), 0.01)) == 11426


@pytest.mark.parametrize(("detectable", "distance"), [(0.01, 0.0), (0.0, 0.01), (None, 0.01)])
def test_where_nothing_can_be_planned(detectable: float | None, distance: float) -> None:
    """No number of samples proves equality, and nothing follows from models that differed on no row."""
    told = evidence(0.5, 0.5, (-0.01, 0.01), detectable=detectable)
    assert told.samples_for(distance) is None


def test_a_tighter_margin_stops_more() -> None:
    """Of candidates that are exactly as good."""
    told = [result(measured(0.0))]
    shares = [foresee([rule(no_worse_than=absolute(margin))], told)[0].blocks for margin in ("0.01", "0.02", "0.03")]
    assert shares == sorted(shares, reverse=True, key=lambda one: one or 0)


def test_few_folds_reach_further_than_the_normal_does() -> None:
    """The interval as it is counts, not that of so many samples; more folds are no advice."""
    wide = evidence(0.5, 0.5, (-0.043, 0.043), se=SE, n=3, unit="")
    (prospect,) = foresee([rule(no_worse_than=absolute("0.043"))], [result(wide)])
    assert prospect.blocks == pytest.approx(0.5)
    assert prospect.detectable == pytest.approx(0.043 + 0.8416 * SE, abs=1e-6)
    assert prospect.enough is None


def test_models_that_answer_alike_leave_the_spread_to_be_assumed() -> None:
    """From the candidate's own interval and a correlation; a lower one makes more of the gate's doubt."""
    alike = evidence(0.5, 0.5, (0.0, 0.0), own=(0.47, 0.53), se=0.0, detectable=0.0)
    first = evidence(None, 0.5, own=(0.47, 0.53))
    for told in (alike, first):
        wide, narrow = (
            foresee([rule(no_worse_than=absolute("0.02"))], [result(told)], correlation=c)[0] for c in (0.5, 0.9)
        )
        assert wide.assumed
        assert wide.detectable == pytest.approx(0.03 / Z * (Z + 0.8416), abs=1e-5)
        assert wide.detectable is not None
        assert narrow.detectable == pytest.approx(wide.detectable * (0.2 / 1.0) ** 0.5)


def test_what_can_t_be_foreseen_says_why() -> None:
    """No interval at all, or too few samples."""
    told = result(
        evidence(0.5, 0.5, (0.0, 0.0), se=0.0, detectable=0.0), evidence(None, None, metric="f1", reason="few")
    )
    demands = [rule(no_worse_than=absolute("0.02")), rule("f1", at_least=Decimal("0.5"))]
    prospects = foresee(demands, [told])
    assert [one.reason for one in prospects] == ["both sides are the same, which tells no spread", "few"]
    document = write_plan(prospects, correlation=0.9)
    assert (document.mark, text(document.title)) == (Mark.NEUTRAL, "2 demands: none can be foreseen")
    assert [text(block.line) for block in document.blocks if isinstance(block, Paragraph)] == [
        "recall: both sides are the same, which tells no spread",
        "f1: few",
    ]


def test_of_many_slices_three_are_told() -> None:
    """The smallest, the middle, the largest; fewer where there are fewer."""
    slices = tuple(replace(measured(0.0, part=f"s{n}"), n=n) for n in (50, 10, 40, 20, 30))
    demand = rule(no_worse_than=absolute("0.02"), at_least=Decimal("0.1"), sliced=True)
    prospects = foresee([demand], [result(slices=slices)])
    assert [(one.n, one.check) for one in prospects] == [
        (n, check) for n in (10, 30, 50) for check in ("no_worse_than", "at_least")
    ]
    assert [one.n for one in foresee([demand], [result(slices=slices[:1])])] == [50, 50]


def test_a_gate_that_speaks_of_nothing_is_told() -> None:
    """Rather than left out of the plan."""
    demand = rule(no_worse_than=absolute("0.02"), sliced=True)
    (none,) = foresee([demand], [result(min_n=200)])
    assert (none.id.slice, none.reason, none.blocks) == ("slices", "no slice has 200 samples", None)
    (few,) = foresee([demand], [result(slices=(evidence(0.5, 0.4, part="few", reason="few"),))])
    assert (few.id.slice, few.reason) == ("few", "few")
    (absent,) = foresee([rule("f1", no_worse_than=absolute("0.02"))], [result()])
    assert absent.reason == "the predictions do not determine this metric"


def test_an_evaluation_that_can_t_be_read_has_no_prospects() -> None:
    """Nor has one that was not read."""
    problem = Problem(state=State.UNREADABLE, path="p.csv", message="p.csv is broken")
    assert foresee([rule(no_worse_than=absolute("0.1"))], [result(problem=problem)]) == ()
    assert foresee([rule(no_worse_than=absolute("0.1"))], []) == ()


def text(line: Line) -> str:
    """A line without its markup."""
    parts = (p.label if isinstance(p, Link) else p.mark.value if isinstance(p, Sign) else p.value for p in line)
    return "".join(parts)


def table(document: Document) -> list[list[str]]:
    (found,) = [block for block in document.blocks if isinstance(block, Table)]
    return [[text(cell) for cell in row] for row in found.rows]


def plan(*demands: EvidenceRule, told: Evidence) -> tuple[Prospect, ...]:
    return foresee(demands, [result(told)])


def test_the_plan_names_what_is_weak() -> None:
    """A demand that stops more than 1 in 5 equal models; that one asks for an improvement is no weakness."""
    prospects = plan(
        rule(no_worse_than=absolute("0.01"), better_by=absolute("0.01"), not_harmed=absolute("0.01")),
        told=measured(0.0),
    )
    document = write_plan(prospects, correlation=0.9)
    assert document.mark is Mark.WARNED
    assert text(document.title) == "3 demands: 1 stops more than 1 in 5 harmless changes"
    assert table(document) == [
        ["recall\u00a0↑", "no_worse_than\u00a0Δ ≥ −0.01", "2,000", "−0.028", "83 %", "15,698"],
        ["recall\u00a0↑", "not_harmed\u00a0Δ ≥ −0.01", "2,000", "−0.038", "0.2 %", ""],
        ["recall\u00a0↑", "better_by\u00a0Δ ≥ +0.01", "2,000", "+0.038", "99.8 %", ""],
    ]
    safe = write_plan(plan(rule(not_harmed=absolute("0.02")), told=measured(0.0)), correlation=0.9)
    assert (safe.mark, text(safe.title)) == (Mark.PASSED, "1 demand: none stops more than 1 in 5 harmless changes")


def test_assumptions_are_marked_and_told() -> None:
    """A star at the numbers, the correlation in the small print."""
    document = write_plan(
        plan(rule(no_worse_than=absolute("0.02")), told=evidence(None, 0.5, own=(0.4, 0.6))), correlation=0.8
    )
    (row,) = table(document)
    assert row[3].endswith("*")
    assert row[4].endswith("*")
    (small,) = [text(block.line) for block in document.blocks if isinstance(block, Footnote)]
    assert "correlate by 0.8" in small


def test_without_gates_there_is_nothing_to_plan() -> None:
    """The next step is told."""
    document = write_plan((), correlation=0.9)
    assert document.mark is Mark.NEUTRAL
    assert isinstance(document.blocks[0], Paragraph)
    assert isinstance(document.title[0], Code) is False
