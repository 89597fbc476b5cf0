"""What gates stop: harmless changes, and harmful ones of every size, judged by the rules that judge a pull request.

The metric is accuracy, of two models that differ in a few per cent of the rows; `coverage.py` is the command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from decimal import Decimal
from itertools import repeat

import numpy as np
from drawing import BLUE, GREEN, GREY, ORANGE, RED, Panel, Scale, bar, draw_picture, write
from numpy.typing import NDArray

from seatrial.commands.stating import adjust_slices, state_change, state_evidence
from seatrial.core.evidence import EvaluationResult, Evidence
from seatrial.core.evidence_judging import judge_evidence
from seatrial.core.evidence_rules import Correction, EvidenceRule
from seatrial.core.metrics import Direction, Interval, MetricId
from seatrial.core.verdict import Finding, Margin, Outcome
from seatrial.stats.binary import BinarySample
from seatrial.stats.estimates import estimate, estimate_slices
from seatrial.stats.names import Measure
from seatrial.stats.paired import Estimate, Insufficient

_ACCURACY = Measure(name="accuracy")
_RIGHT = 0.85  # the baseline's accuracy
_DIFFERENT = 0.06  # the share of rows of which one model is right and the other wrong
_MARGIN = 0.01
_TEST_SETS = (2_000, 20_000)
_CHANGES = (-0.03, -0.025, -0.02, -0.015, -0.01, -0.0075, -0.005, -0.0025, 0.0, 0.005, 0.01)
_SLICES, _ROWS, _DIFFERENT_IN_SLICES, _SLICE_MARGIN = 40, 200, 0.05, 0.03
_DROPS = (0.0, 0.03, 0.05, 0.07, 0.10, 0.15)

ANY_DROP, TOLERANCE, NO_WORSE, NOT_HARMED = "any drop", "drop > δ", "no_worse_than: δ", "not_harmed: δ"
SLICE_ANY, SLICE_TOLERANCE, SLICE_PLAIN = "any drop", "drop > 3 points", "p < 0.05, each slice by itself"
SLICE_BH, SLICE_HOLM = "not_harmed: 0.03 (Benjamini–Hochberg)", "not_harmed: 0.03, correction: holm"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRates:
    """On n rows, of changes with this true difference: the share that each rule stops.

    `proven` is the share that no_worse_than stops because it is proven worse than the margin, and not out of doubt.
    """

    n: int
    change: float
    stopped: Mapping[str, float]
    proven: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRates:
    """Of changes that cost one slice of 40 so much accuracy: the share stopped, and with that slice being named."""

    drop: float
    stopped: Mapping[str, float]
    named: Mapping[str, float]


def simulate_gates(pool: Executor, changes: int) -> tuple[GateRates, ...]:
    """Judge so many changes of each kind."""
    kinds = [(n, change) for n in _TEST_SETS for change in _CHANGES]
    return tuple(pool.map(_simulate_gate, *zip(*kinds, strict=True), repeat(changes)))


def _simulate_gate(n: int, change: float, changes: int) -> GateRates:
    random = np.random.default_rng([7, n, round(1e4 * (change + 1))])
    stopped = dict.fromkeys((ANY_DROP, TOLERANCE, NO_WORSE, NOT_HARMED), 0)
    proven = 0
    for _ in range(changes):
        base, head = _draw(random, np.full(n, change), _DIFFERENT)
        evidence = _state(estimate(base, head, [_ACCURACY])[_ACCURACY], "")
        result = EvaluationResult(name="test", overall=(evidence,))
        safe, unharmed = (_judge(_rule(name, _MARGIN), result) for name in ("no_worse_than", "not_harmed"))
        delta = _delta(evidence)
        stopped[ANY_DROP] += delta < 0
        stopped[TOLERANCE] += delta < -_MARGIN
        stopped[NO_WORSE] += safe is not Outcome.PASSED
        stopped[NOT_HARMED] += unharmed is not Outcome.PASSED
        proven += safe is Outcome.FAILED
    shares = {rule: count / changes for rule, count in stopped.items()}
    return GateRates(n=n, change=change, stopped=shares, proven=proven / changes)


def simulate_slices(pool: Executor, changes: int) -> tuple[SliceRates, ...]:
    """Judge so many changes that cost the first of the slices each drop."""
    return tuple(pool.map(_simulate_slices, _DROPS, repeat(changes)))


def _simulate_slices(drop: float, changes: int) -> SliceRates:
    random = np.random.default_rng([8, round(1e4 * drop)])
    codes = np.repeat(np.arange(_SLICES), _ROWS)
    rules = (SLICE_ANY, SLICE_TOLERANCE, SLICE_PLAIN, SLICE_BH, SLICE_HOLM)
    stopped, named = dict.fromkeys(rules, 0), dict.fromkeys(rules, 0)
    for _ in range(changes):
        base, head = _draw(random, np.where(codes == 0, -drop, 0.0), _DIFFERENT_IN_SLICES)
        answers = estimate_slices(base, head, [_ACCURACY], codes, min_n=_ROWS)
        found = [(_state(one[_ACCURACY], f"slice {code}"), one[_ACCURACY]) for code, one in answers.items()]
        for rule, worse in _judge_slices(found).items():
            stopped[rule] += bool(worse.any())
            named[rule] += bool(worse[0])
    return SliceRates(
        drop=drop,
        stopped={rule: count / changes for rule, count in stopped.items()},
        named={rule: count / changes for rule, count in named.items()},
    )


def _judge_slices(found: Sequence[tuple[Evidence, Estimate | Insufficient]]) -> dict[str, NDArray[np.bool_]]:
    """Which slices (slices,) each rule stops."""
    deltas = np.array([_delta(evidence) for evidence, _ in found])
    p_values = np.array([evidence.p_worse for evidence, _ in found], dtype=np.float64)
    judged = {
        SLICE_ANY: deltas < 0,
        SLICE_TOLERANCE: deltas < -_SLICE_MARGIN,
        # Two-sided 0.05, of which half is for the slices that are worse.
        SLICE_PLAIN: p_values < 0.025,
    }
    rule = _rule("not_harmed", _SLICE_MARGIN, sliced=True)
    for name, correction in ((SLICE_BH, Correction.BENJAMINI_HOCHBERG), (SLICE_HOLM, Correction.HOLM)):
        adjusted = adjust_slices(found, correction)
        results = [EvaluationResult(name="test", slices=(each,)) for each in adjusted]
        judged[name] = np.array([_judge(rule, result) is Outcome.FAILED for result in results])
    return judged


def _draw(
    random: np.random.Generator, change: NDArray[np.float64], different: float
) -> tuple[BinarySample, BinarySample]:
    """Both models on one test set; `change` (n,) is by how much likelier the candidate is to be right of each row."""
    n = change.size
    # What is lost beyond the share of rows that differ anyway makes more rows differ.
    different_here = np.maximum(different, np.abs(change) + 0.02)
    luck = random.random(n)
    gained = luck < (different_here + change) / 2
    lost = ~gained & (luck < different_here)
    was_right = np.where(gained | lost, lost, random.random(n) < _RIGHT)
    is_right = np.where(gained | lost, gained, was_right)
    label = random.random(n) < 0.5
    base, head = (BinarySample.of(label, (label == right).astype(np.float64)) for right in (was_right, is_right))
    return base, head


def _state(answer: Estimate | Insufficient, name: str) -> Evidence:
    identity = MetricId(file="test", key=("accuracy",), slice=name)
    return state_evidence(identity, answer, Direction.HIGHER, paired=True)


def _delta(evidence: Evidence) -> float:
    delta = evidence.change.delta
    return float(delta.absolute) if delta else 0.0


def _rule(check: str, margin: float, *, sliced: bool = False) -> EvidenceRule:
    amount = Margin(amount=Decimal(str(margin)), relative=False)
    return EvidenceRule(
        evaluation="test",
        metric="accuracy",
        place="",
        direction=Direction.HIGHER,
        no_worse_than=amount if check == "no_worse_than" else None,
        not_harmed=amount if check == "not_harmed" else None,
        sliced=sliced,
    )


def _judge(rule: EvidenceRule, result: EvaluationResult) -> Outcome:
    return _find(rule, result).outcome


def _find(rule: EvidenceRule, result: EvaluationResult) -> Finding:
    (finding,) = judge_evidence([rule], [result])
    return finding


def tell_gates(gates: Sequence[GateRates], slices: Sequence[SliceRates], changes: int) -> list[str]:
    """Both tables, in Markdown."""
    return [*_tell_gate(gates, changes), "", *_tell_slices(slices, changes)]


def _tell_gate(gates: Sequence[GateRates], changes: int) -> list[str]:
    rules = list(gates[0].stopped)
    lines = [
        "## Gates",
        "",
        f"The share of {changes:,} changes that a gate on accuracy stops; δ = {_MARGIN}, and the models differ in",
        f"{_DIFFERENT * 100:g} % of the rows. `no_worse_than` stops what is not proven safe (`on_inconclusive: fail`,",
        "the default); in brackets: what it stops as proven worse than δ.",
        "",
        f"| rows | true change | {' | '.join(rules)} |",
        f"|--:|--:|{'--:|' * len(rules)}",
    ]
    for one in gates:
        shares = [_percent(share) for share in one.stopped.values()]
        shares[rules.index(NO_WORSE)] += f" ({_percent(one.proven)})"
        change = f"{one.change:+.4f}".replace("-", "−") if one.change else "0"
        lines.append(f"| {one.n:,} | {change} | {' | '.join(shares)} |")
    return lines


def _tell_slices(slices: Sequence[SliceRates], changes: int) -> list[str]:
    rules = list(slices[0].stopped)
    lines = [
        "## Slices",
        "",
        f"{_SLICES} slices of {_ROWS} rows, of which one loses accuracy and the others do not change: the share of",
        f"{changes:,} changes that are stopped, and in brackets the share in which the slice that lost is named.",
        "",
        f"| lost in one slice | {' | '.join(rules)} |",
        f"|--:|{'--:|' * len(rules)}",
    ]
    for one in slices:
        shares = [
            _percent(one.stopped[rule]) + (f" ({_percent(one.named[rule])})" if one.drop else "") for rule in rules
        ]
        lines.append(f"| {f'{one.drop * 100:g} points' if one.drop else 'nothing'} | {' | '.join(shares)} |")
    return lines


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


_COLOURS = {ANY_DROP: RED, TOLERANCE: ORANGE, NO_WORSE: BLUE, NOT_HARMED: GREEN}
_DASHES = {ANY_DROP: "2 3", TOLERANCE: "6 4", NO_WORSE: "", NOT_HARMED: ""}


def draw_gates(gates: Sequence[GateRates]) -> str:
    """The share stopped by true change, a panel for each number of rows."""
    x = Scale(low=-0.03, high=0.01, ticks={-0.03: "−0.03", -0.02: "−0.02", -0.01: "−δ", 0.0: "0", 0.01: "+0.01"})
    y = Scale(low=0, high=1, ticks={0: "0 %", 0.25: "25 %", 0.5: "50 %", 0.75: "75 %", 1: "100 %"})
    parts: list[str] = []
    for column, n in enumerate(_TEST_SETS):
        panel = Panel(left=55 + column * 365, top=34, width=320, height=230, x=x, y=y)
        parts += panel.frame(f"stopped, of {n:,} rows", x_title="true change of accuracy")
        shown = [one for one in gates if one.n == n]
        for rule in shown[0].stopped:
            points = [(one.change, one.stopped[rule]) for one in shown]
            parts.append(panel.draw(points, _COLOURS[rule], dash=_DASHES[rule]))
    for position, (rule, colour) in enumerate(_COLOURS.items()):
        left = 60 + position * 180
        parts += [bar(left, 320, 16, 4, colour), write(left + 22, 326, rule, anchor="start")]
    return draw_picture("Share of changes that are stopped, by true change", 770, 345, parts)


def draw_slices(slices: Sequence[SliceRates]) -> str:
    """Bars for each rule: what it stops though nothing changed, and how often it names a slice that lost 7 points."""
    harmless = next(one for one in slices if not one.drop)
    harmful = next(one for one in slices if one.drop == 0.07)
    parts = [
        write(300, 26, "stopped although no slice changed", anchor="start", bold=True),
        write(545, 26, "a slice that lost 7 points is named", anchor="start", bold=True),
    ]
    for row, rule in enumerate(harmless.stopped):
        top = 42 + row * 34
        parts.append(write(285, top + 15, rule, anchor="end"))
        for left, share, colour in ((300, harmless.stopped[rule], RED), (545, harmful.named[rule], GREEN)):
            parts += [bar(left, top, 180, 20, "#f1f1f1"), bar(left, top, 180 * share, 20, colour)]
            parts.append(write(left + 188, top + 15, _percent(share), anchor="start", colour=GREY))
    return draw_picture("40 slices of 200 rows: false alarms and finds", 790, 50 + len(harmless.stopped) * 34, parts)


# Intervals of a difference, from the best for the candidate to the worst.
_EXAMPLES = (
    (0.004, 0.016),
    (-0.004, 0.007),
    (0.0, 0.0),
    (-0.008, -0.002),
    (-0.014, 0.005),
    (-0.017, -0.003),
    (-0.027, -0.013),
)
_JUDGED = {Outcome.PASSED: GREEN, Outcome.INCONCLUSIVE: ORANGE, Outcome.FAILED: RED}


def draw_words() -> str:
    """What two kinds of gates say of intervals that lie differently to 0 and to the margin δ, in their own words."""
    x = Scale(low=-0.03, high=0.02, ticks={-0.03: "", -0.02: "", -0.01: "−δ", 0.0: "0", 0.01: "+δ", 0.02: ""})
    y = Scale(low=-0.5, high=len(_EXAMPLES) - 0.5, ticks={})
    panel = Panel(left=20, top=34, width=330, height=38 * len(_EXAMPLES), x=x, y=y)
    parts = panel.frame("95 % interval of the change; right is better", x_title="candidate − baseline")
    columns = {"no_worse_than": 370, "not_harmed": 590}
    parts += [write(left, 26, f"{check}: δ", anchor="start", bold=True) for check, left in columns.items()]
    for row, ends in enumerate(_EXAMPLES):
        at = len(_EXAMPLES) - 1 - row
        parts += [panel.draw([(end, at) for end in ends], BLUE, width=3), *panel.dots([(sum(ends) / 2, at)], BLUE)]
        for check, left in columns.items():
            finding = _find(_rule(check, _MARGIN), _exemplify(*ends))
            words = (
                f"{finding.outcome.value}: {finding.reason}"
                if finding.outcome.value != finding.reason
                else finding.reason
            )
            parts.append(write(left, panel.place(0, at)[1] + 4, words, anchor="start", colour=_JUDGED[finding.outcome]))
    return draw_picture("What an interval makes of a gate", 830, 60 + 38 * len(_EXAMPLES) + 20, parts)


def _exemplify(low: float, high: float) -> EvaluationResult:
    """The evidence of one interval of a difference."""
    identity, middle = MetricId(file="test", key=("accuracy",)), (low + high) / 2
    interval = Interval(low=low, high=high, level=0.95, n=1_000, method="")
    change = state_change(identity, _RIGHT, _RIGHT + middle, Direction.HIGHER, interval=interval)
    return EvaluationResult(name="test", overall=(Evidence(change=change, n=1_000),))
