"""`seatrial plan`: what the gates can tell, for people and for machines."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from seatrial.commands.stating import state_evidence
from seatrial.core.evidence import EvaluationResult
from seatrial.core.evidence_judging import judge_evidence
from seatrial.core.evidence_rules import EvidenceRule
from seatrial.core.metrics import Direction, MetricId
from seatrial.core.planning import foresee
from seatrial.core.verdict import Margin, Outcome
from seatrial.stats.binary import BinarySample
from seatrial.stats.estimates import estimate
from seatrial.stats.names import Measure
from tests.integration.repositories import Scratch, run_seatrial

POLICY = """\
version: 1
evaluations:
- name: delays
  predictions: p.csv
  key: id
  label: y
  score: p
  gates:
  - accuracy: {no_worse_than: 0.01}
  - roc_auc: {not_harmed: 0.05, at_least: 0.5, bound: lower}
  slices: {by: [carrier], min_n: 50, gates: [accuracy: {not_harmed: 0.1}]}
"""


def predictions(seed: int, rows: int = 300) -> str:
    truth, draw = random.Random(7), random.Random(seed)
    lines = ["id,y,p,carrier"]
    for row in range(rows):
        late = truth.random() < 0.4
        lines.append(f"{row},{int(late)},{min(0.99, max(0.01, 0.3 + 0.3 * late + draw.gauss(0, 0.2)))!r},C{row % 3}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    scratch = Scratch.create(tmp_path / "project")
    scratch.commit({"seatrial.yaml": POLICY, "p.csv": predictions(1), "metrics.json": '{"steps": 3}'})
    return scratch


def test_each_demand_is_planned_from_two_models(scratch: Scratch) -> None:
    """How small a change it sees, how many harmless ones it stops, how many samples would do."""
    scratch.write({"p.csv": predictions(2)})
    answer = run_seatrial(scratch.directory, "plan", "--format", "json")
    assert answer.code == 0, answer.err
    plan = json.loads(answer.out)
    assert (plan["schema_version"], plan["correlation"]) == (1, 0.9)
    told = {(each["metric"], each["slice"], each["check"]): each for each in plan["prospects"]}
    safe = told["accuracy", "", "no_worse_than"]
    assert safe["limit"] == "Δ ≥ −0.01"
    assert safe["n"] == 300
    assert safe["detectable"] > 0.01
    assert 0.2 < safe["blocks"] <= 1
    assert safe["enough"] == pytest.approx(300 * (safe["detectable"] / 0.01) ** 2, abs=1)
    assert not safe["assumed"]
    assert told["roc_auc", "", "at_least"]["blocks"] < 0.01
    assert {part for _, part, _ in told} == {"", "carrier=C0", "carrier=C1", "carrier=C2"}


def test_the_table_tells_what_is_weak(scratch: Scratch) -> None:
    """In the first line, and with what the columns mean at the end."""
    scratch.write({"p.csv": predictions(2)})
    answer = run_seatrial(scratch.directory, "plan")
    assert answer.code == 0
    first, *_, last = answer.out.strip().splitlines()
    assert first == "! 6 demands: 1 stops more than 1 in 5 harmless changes"
    assert "sees from: the smallest true change" in last
    assert max(len(line) for line in answer.out.splitlines()[:-1]) < 120


def test_one_model_is_enough_to_plan_with(scratch: Scratch) -> None:
    """The spread of a difference is assumed then, marked as such, and follows the correlation."""
    answers = [
        run_seatrial(scratch.directory, "plan", "--format", "json", "--correlation", correlation)
        for correlation in ("0.5", "0.9")
    ]
    first = [json.loads(answer.out)["prospects"][0] for answer in answers]
    assert all(each["assumed"] for each in first)
    assert first[0]["detectable"] == pytest.approx(first[1]["detectable"] * 5**0.5)
    assert "assumed to correlate by 0.9" in run_seatrial(scratch.directory, "plan").out
    assert run_seatrial(scratch.directory, "plan", "--correlation", "1").code == 2


def test_two_revisions_may_be_named(scratch: Scratch) -> None:
    """As for `compare`."""
    scratch.commit({"p.csv": predictions(2)})
    named = run_seatrial(scratch.directory, "plan", "HEAD~1", "HEAD", "--format", "json")
    assert not json.loads(named.out)["prospects"][0]["assumed"]
    assert run_seatrial(scratch.directory, "plan", "nowhere").code in {2, 3}


def test_without_gates_the_next_step_is_told(scratch: Scratch) -> None:
    """There is nothing to plan, which is no error."""
    scratch.write({"seatrial.yaml": "version: 1\n"})
    answer = run_seatrial(scratch.directory, "plan")
    assert answer.code == 0
    assert "Nothing to plan: no gate rests on predictions" in answer.out


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"p.csv": "id,y\n1,1\n"}, 3, "no column 'p'"),
        ({"seatrial.yaml": POLICY.replace("no_worse_than", "no_worse_then")}, 2, "did you mean `no_worse_than`?"),
    ],
)
def test_what_can_t_be_planned_is_an_error(scratch: Scratch, change: dict[str, str], code: int, words: str) -> None:
    """Predictions that can't be read, a policy with a fault: never an empty plan."""
    scratch.write(change)
    answer = run_seatrial(scratch.directory, "plan")
    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err


def test_the_share_stopped_is_what_happens_to_equal_models() -> None:
    """Four hundred pairs of models of the same accuracy, each judged as a run does, against the plan of each."""
    measure, draw, runs, rows = Measure(name="accuracy"), np.random.default_rng(5), 400, 1500
    demand = EvidenceRule(
        evaluation="delays",
        metric="accuracy",
        place="",
        direction=Direction.HIGHER,
        no_worse_than=Margin(amount=Decimal("0.02"), relative=False),
    )
    stopped, foretold = [], []
    for _ in range(runs):
        truth, hard = draw.random(rows) < 0.4, draw.random(rows) < 0.5
        sides = [
            BinarySample.of(
                truth, np.where(draw.random(rows) < np.where(hard, 0.35, 0.05), ~truth, truth).astype(float)
            )
            for _ in range(2)
        ]
        answer = estimate(sides[0], sides[1], [measure])[measure]
        one = state_evidence(MetricId(file="delays", key=("accuracy",)), answer, Direction.HIGHER, paired=True)
        result = EvaluationResult(name="delays", overall=(one,))
        (finding,) = judge_evidence([demand], [result])
        (prospect,) = foresee([demand], [result])
        stopped.append(finding.outcome is not Outcome.PASSED)
        foretold.append(prospect.blocks or 0.0)
    assert 0.2 < np.mean(stopped) < 0.9
    assert np.mean(foretold) == pytest.approx(np.mean(stopped), abs=0.06)
