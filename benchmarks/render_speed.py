"""How long each format takes for a report of many metrics: `python benchmarks/render_speed.py [METRICS…]`.

The report is a real one: two sides with so many metrics, half of which changed, 100 gates and 200 changed parameters,
compared and judged before the clock starts; laying it out counts. Each format is rendered five times, and the best
time of the processor is told.
"""

from __future__ import annotations

import sys
import time
from decimal import Decimal

from seatrial.core.annotations import Lines
from seatrial.core.comparison import compare
from seatrial.core.metrics import Key, MetricSet, Snapshot, Value
from seatrial.core.policy import Policy, Rule, evaluate
from seatrial.core.report import Report, build_report
from seatrial.core.revision import Revision, RevisionRange
from seatrial.core.verdict import Margin
from seatrial.core.wording import Telling
from seatrial.render import RENDERERS, RenderOptions

_ROUNDS = 5
_GATES, _PARAMS = 100, 200
_RANGE = RevisionRange(
    base=Revision(name="main", sha="1" * 40), head=Revision(name="feature", sha="2" * 40), reason="benchmark"
)
_OPTIONS = {
    "terminal": RenderOptions(width=120, colour=True),
    "markdown": RenderOptions(budget=60_000, full_report_url="https://forge.example/report"),
    "gitlab-annotations": RenderOptions(full_report_url="https://forge.example/report"),
}


def make_side(count: int, step: float) -> Snapshot:
    """So many metrics in groups of a hundred; every second one moves by `step`."""
    values: dict[Key, Value] = {
        (f"group_{at // 100}", f"recall_{at % 100}"): 0.8 + at / 1e6 + step * (at % 2) for at in range(count)
    }
    params: dict[Key, Value] = {("layers", f"units_{at}"): 64 + (128 if step else 0) for at in range(_PARAMS)}
    return Snapshot(
        revision=_RANGE.head,
        metrics=(MetricSet(path="metrics.json", values=values),),
        params=(MetricSet(path="params.yaml", values=params),),
    )


def make_report(count: int) -> Report:
    """The judged report, not yet laid out."""
    limit = Margin(amount=Decimal("0.001"), relative=False)
    rules = (Rule(pattern="group_0.*", place="seatrial.yaml:3", max_decrease=limit),)
    policy = Policy(rules=rules)
    comparison = compare(_RANGE, make_side(count, 0.0), make_side(count, -0.01))
    lines = Lines(keys={"params.yaml": {("layers", f"units_{at}"): at + 2 for at in range(_PARAMS)}})
    telling = Telling(show_all=True, find_lines=lambda: lines)
    return build_report(comparison, evaluate(policy, comparison), policy, telling)


def measure_format(name: str, count: int) -> tuple[float, int]:
    """The best time of the processor in seconds, with laying out, and the size of the text in bytes."""
    best, size = float("inf"), 0
    for _ in range(_ROUNDS):
        report = make_report(count)
        started = time.process_time()
        text = RENDERERS[name](report, _OPTIONS.get(name, RenderOptions()))
        best, size = min(best, time.process_time() - started), len(text.encode())
    return best, size


def main() -> None:
    """Print one table a size."""
    for count in [int(word) for word in sys.argv[1:]] or [1_000, 10_000]:
        print(f"{count:,} metrics, {_GATES} gates, {_PARAMS} changed parameters")
        for name in RENDERERS:
            seconds, size = measure_format(name, count)
            print(f"  {name:<20}{seconds:>8.3f} s{size / 1000:>12,.0f} kB")


if __name__ == "__main__":
    main()
