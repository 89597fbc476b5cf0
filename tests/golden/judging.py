"""From values and rules to a report, by the code that does it in a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from seatrial.core.annotations import Lines
from seatrial.core.comparison import Comparison
from seatrial.core.metrics import Key
from seatrial.core.policy import Policy, Rule, evaluate
from seatrial.core.report import Report, build_report
from seatrial.core.revision import Revision, RevisionRange
from seatrial.core.verdict import Margin
from seatrial.core.wording import Telling

RANGE = RevisionRange(
    base=Revision(name="main", sha="5b174c2d9e0f4a6b8c7d1e2f3a4b5c6d7e8f9a0b"),
    head=Revision(name="raise-learning-rate", sha="56018463aa5c0a8f1b7de3c94b2a61d07f3e9c11"),
    reason="first parent of the tested merge",
)
TODAY = date(2026, 11, 23)
RUN = "https://github.com/acme/flights/actions/runs/1234"


def margin(amount: str) -> Margin:
    """`0.01`, or `1%`."""
    share = amount.endswith("%")
    number = Decimal(amount.rstrip("%"))
    return Margin(amount=number / 100 if share else number, relative=share)


def rule(pattern: str, line: int, **demands: Any) -> Rule:
    """A gate on a number as it stands; margins are spelled as in a policy, bounds are decimals."""
    named: dict[str, Any] = {key: margin(each) if type(each) is str else each for key, each in demands.items()}
    return Rule(pattern=pattern, place=f"seatrial.yaml:{line}", **named)


def judge(comparison: Comparison, policy: Policy, *, keys: Mapping[str, Mapping[Key, int]] = {}, **told: Any) -> Report:
    """The report; `keys` are the lines of parameters and stages, `told` what a run has to say beside."""
    verdict = evaluate(policy, comparison, today=TODAY)
    lines = Lines(keys=keys, gates=dict(_list_places(finding.place for finding in verdict.findings)))
    telling = Telling(**{"policy_source": "seatrial.yaml of main", "run_url": RUN, "find_lines": lambda: lines, **told})
    return build_report(comparison, verdict, policy, telling)


def _list_places(places: Iterable[str]) -> Iterable[tuple[str, tuple[str, int]]]:
    for place in places:
        file, _, line = place.rpartition(":")
        if file:
            yield place, (file, int(line))
