"""Reports with anything changed in them: taken over and told, or refused with a reason; never a defect of ours."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatrial.core.comparison import Comparison
from seatrial.core.data_rules import Count, DriftRule, LeakRule, RowRule
from seatrial.core.evidence_rules import EvidenceRule, FlipRule, GapRule
from seatrial.core.facts import ReportFacts
from seatrial.core.handover import Ground, list_unreproduced, name_all, take_over
from seatrial.core.handover_evidence import ExpectedEvaluation, ExpectedTable, take_evaluations, take_tables
from seatrial.core.metrics import Direction, MetricSet, Snapshot
from seatrial.core.policy import Policy, Rule, evaluate
from seatrial.core.report import build_report
from seatrial.core.revision import Revision, RevisionRange
from seatrial.core.verdict import Outcome
from seatrial.core.wording import Telling
from seatrial.errors import CompareError
from seatrial.render import RENDERERS, RenderOptions
from seatrial.render.json import parse
from tests.fuzz.test_parsers import bounded
from tests.unit.core.evidence_cases import absolute

pytestmark = pytest.mark.slow
GOLDEN = Path(__file__).parents[1] / "golden" / "reports"
# Beside them are formats that other programs read.
CASES = [path for path in sorted(GOLDEN.glob("*.json")) if "." not in path.stem]
SEEDS = [json.loads(path.read_text(encoding="utf-8")) for path in CASES]
WORDS = st.sampled_from(
    ["", "base", "head", "added", "removed", "new", "compared", "NaN", "\u202e", "a\nb", "x" * 1_001, "<b>"]
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), WORDS)
ANYTHING: st.SearchStrategy[Any] = st.one_of(LEAVES, st.just([]), st.just({}), st.lists(LEAVES, max_size=2))


def list_places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, each in inner for found in list_places(each, (*place, key)))]


@st.composite
def reports(draw: st.DrawFn) -> bytes:
    """A golden report with up to three things in it replaced, dropped or doubled."""
    report = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        places = [place for place in list_places(report) if place]
        if not places:
            break
        *above, key = draw(st.sampled_from(places))
        parent = report
        for step in above:
            parent = parent[step]
        kind = draw(st.sampled_from(["replace", "drop", "double"]))
        if kind == "drop":
            del parent[key]
        elif kind == "double" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[key]))
        else:
            parent[key] = draw(ANYTHING)
    return json.dumps(report).encode("utf-8", "surrogatepass")


def know_baseline(facts: ReportFacts) -> Snapshot | None:
    """A baseline that holds what the report says of it, so that most reports get past that."""
    files: dict[str, dict[tuple[str, ...], Any]] = {}
    for change in facts.metrics:
        if change.base is not None:
            files.setdefault(change.moved_from or change.file, {})[change.key] = change.base
    sets = tuple(MetricSet(path=path, values=values) for path, values in sorted(files.items()))
    return Snapshot(revision=Revision(name="main", sha="a" * 40), metrics=sets) if facts.base else None


def write_policy(facts: ReportFacts) -> Policy:
    """Gates on all that the report tells of."""
    evidence = [
        rule
        for one in facts.evaluations
        for metric in {each.metric for each in one.overall} | {"untold"}
        for rule in (
            EvidenceRule(evaluation=one.name, metric=metric, place="p", direction=Direction.HIGHER, **demand)
            for demand in ({"no_worse_than": absolute(0.01)}, {"not_harmed": absolute(0), "sliced": True})
        )
    ]
    more = [FlipRule(evaluation=one.name, place="p", max_newly_wrong=absolute(5)) for one in facts.evaluations]
    gaps = [
        GapRule(evaluation=one.name, metric=gap.metric, by=gap.by, place="p", max_gap_increase=absolute(0.1))
        for one in facts.evaluations
        for gap in one.gaps
    ]
    tables = [
        rule
        for table in facts.tables
        for rule in (
            RowRule(table=table.name, place="p", count=Count.REMOVED, most=absolute(0)),
            LeakRule(table=table.name, place="p", other="other", most=absolute(0)),
            DriftRule(table=table.name, place="p"),
        )
    ]
    rules = (Rule(pattern="*", place="p", max_decrease=absolute(0.01)),)
    return Policy(rules=rules, evidence=(*evidence, *more, *gaps), tables=tuple(tables))


def take_all(facts: ReportFacts, policy: Policy) -> Comparison:
    """The whole crossing."""
    base = know_baseline(facts)
    revisions = RevisionRange(
        base=base.revision if base else None, head=Revision(name="this PR", sha="b" * 40), reason="merge base"
    )
    comparison, _ = take_over(facts, Ground(range=revisions, base=base))
    names = name_all(base)
    evaluations = [
        ExpectedEvaluation(
            name=one.name,
            predictions="p.csv",
            in_baseline=base is not None,
            rules=tuple(rule for rule in policy.evidence if rule.evaluation == one.name),
            required=("a slice",),
            min_n=5,
            same_set=True,
        )
        for one in {one.name: one for one in facts.evaluations}.values()
    ]
    tables = [
        ExpectedTable(
            name=one.name,
            path="t.csv",
            in_baseline=base is not None,
            rules=tuple(rule for rule in policy.tables if rule.table == one.name),
        )
        for one in {one.name: one for one in facts.tables}.values()
    ]
    return replace(
        comparison,
        evaluations=take_evaluations(facts.evaluations, evaluations, comparison, names),
        tables=take_tables(facts.tables, tables, names),
    )


@bounded
@given(reports())
def test_a_changed_report_is_told_or_refused(report: bytes) -> None:
    """Whatever stands where in it: a verdict and a report of ours, or one error that says what is wrong."""
    try:
        facts = parse(report)
        policy = write_policy(facts)
        comparison = take_all(facts, policy)
        beside = list_unreproduced(facts, know_baseline(facts))
    except CompareError:
        return
    verdict = evaluate(policy, comparison, beside=beside)
    told = build_report(comparison, verdict, policy, Telling())
    for name in ("markdown", "json", "junit"):
        assert RENDERERS[name](told, RenderOptions(budget=60_000) if name == "markdown" else RenderOptions())
    untold = [
        finding for finding in verdict.findings if finding.id.key[-1:] == ("untold",) and finding.check != "slices"
    ]
    assert not {finding.outcome for finding in untold} & {Outcome.PASSED}


@pytest.mark.parametrize("seed", SEEDS, ids=[path.stem for path in CASES])
def test_every_golden_report_crosses(seed: dict[str, Any]) -> None:
    """Nothing that seatrial itself writes is refused, against the baseline that it tells of."""
    facts = parse(json.dumps(seed).encode())
    assert take_all(facts, write_policy(facts)).metrics is not None
