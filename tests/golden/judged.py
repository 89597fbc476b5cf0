"""One report for each thing that may become of a change, from the values of both sides."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from seatrial.charts.mermaid import line_chart
from seatrial.charts.pipeline import draw_pipeline
from seatrial.charts.sparkline import sparkline
from seatrial.core.comparison import Comparison, compare
from seatrial.core.document import Diagram
from seatrial.core.metrics import (
    FileRecord,
    Interval,
    MetricId,
    MetricSet,
    Problem,
    Snapshot,
    StageRecord,
    StaleStage,
    State,
)
from seatrial.core.policy import Policy, Rule
from seatrial.core.report import Report
from seatrial.core.trend import Trend
from seatrial.core.verdict import Severity
from tests.golden.evidence import LOSS, N, gate, result, told
from tests.golden.judging import RANGE, judge, rule

METRICS, PARAMS = "metrics/evaluation.json", "params.yaml"
BEFORE = {"recall": 0.842, "ece": 0.021, "latency": {"p95_ms": 41}, "accuracy": 0.912, "rows": 327_346}
LINES = {
    PARAMS: {("train",): 3, ("train", "learning_rate"): 4, ("train", "l2"): 5},
    "dvc.yaml": {("stages",): 1, ("stages", "train"): 9, ("stages", "evaluate"): 17},
}
RECALL, ECE = rule("recall", 4, max_decrease="0.01"), rule("ece", 6, max_increase="0.01", severity=Severity.WARN)
LATENCY = rule("latency.p95_ms", 8, max_increase="5%")


def flatten(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    flat: dict[tuple[str, ...], Any] = {}
    for name, value in values.items():
        flat |= flatten(value, (*above, name)) if isinstance(value, dict) else {(*above, name): value}
    return flat


def measured(values: Mapping[str, Any], path: str = METRICS) -> MetricSet:
    return MetricSet(path=path, values=flatten(values))


def lost(state: State, message: str, hint: str, path: str = METRICS) -> MetricSet:
    return MetricSet(path=path, values={}, problem=Problem(state=state, path=path, message=message, hint=hint))


def make_stages(version: str, directory: str = "") -> tuple[StageRecord, ...]:
    """Data, training and evaluation; all that `version` makes differs."""
    prefix, at = (f"{directory}/dvc.yaml:", f"{directory}/") if directory else ("", "")
    data = FileRecord(path=f"{at}data/flights.parquet", digest=f"1{version}", size=8_100_000 + len(version) * 100_000)
    model = FileRecord(path=f"{at}model.onnx", digest=f"2{version}", size=512_000)
    out = FileRecord(path=f"{at}{METRICS}", digest=f"3{version}")
    params = {f"{at}params.yaml:train.learning_rate": version}
    train = StageRecord(address=f"{prefix}train", command="train", deps=(data,), outs=(model,), params=params)
    return train, StageRecord(address=f"{prefix}evaluate", command="evaluate", deps=(model, data), outs=(out,))


def side(
    *metrics: MetricSet, rate: float = 0.05, version: str = "a", params: Mapping[str, Any] | None = None, **given: Any
) -> Snapshot:
    values = {"train": {"learning_rate": rate, "l2": 0.001}, **(params or {})}
    stages = given.pop("stages", make_stages(version))
    return Snapshot(revision=RANGE.head, metrics=metrics, params=(measured(values, PARAMS),), stages=stages, **given)


def draw(comparison: Comparison, head: Snapshot) -> Diagram | None:
    source = draw_pipeline(head.stages, {change.address for change in comparison.stages})
    return Diagram(title="The pipeline, with the stages that changed marked", source=source) if source else None


def tell(base: Snapshot | None, head: Snapshot, *rules: Rule, **given: Any) -> Report:
    """Judge two sides by rules on numbers; `given` are intervals, evaluations, a policy, or words."""
    policy = given.pop("policy", Policy(rules=rules))
    between = given.pop("between", RANGE if base else replace(RANGE, base=None, reason="no commit of main has metrics"))
    comparison = compare(between, base, head, direction_of=policy.direction_of, intervals=given.pop("intervals", None))
    comparison = replace(comparison, evaluations=given.pop("evaluations", ()))
    return judge(comparison, policy, keys=LINES, pipeline=draw(comparison, head), **given)


def change(**values: Any) -> MetricSet:
    return measured({**BEFORE, **values})


def failed() -> Report:
    """One gate failed, one is undecided, one warns, one passed; parameters, data and stages changed."""
    fallen = told("recall", 0.842, 0.811, (-0.049, -0.012))
    unsure = told("f1", 0.861, 0.857, (-0.017, 0.009))
    before = {name: value for name, value in BEFORE.items() if name != "recall"}
    after = {**before, "ece": 0.034, "latency": {"p95_ms": 38}, "accuracy": 0.905}
    policy = Policy(
        rules=(ECE, LATENCY),
        evidence=(gate("recall", 14, no_worse_than="0.01"), gate("f1", 15, no_worse_than="0.01")),
    )
    interval = Interval(low=-0.013, high=-0.001, level=0.95, n=N, method="paired, t")
    return tell(
        side(measured(before)),
        side(measured(after), rate=0.2, version="bc"),
        policy=policy,
        intervals={MetricId(file=METRICS, key=("accuracy",)): interval},
        evaluations=(result(fallen, unsure),),
        trends=(draw_trend(fallen),),
    )


def draw_trend(evidence: Any) -> Trend:
    values = (0.84, 0.84, 0.843, None, 0.846, 0.843, 0.846, 0.846, 0.842, 0.811)
    points = [(f"c{at}", value) for at, value in enumerate(values)]
    chart = line_chart(title="recall on main", unit="recall", points=points)
    assert chart
    return Trend(
        change=evidence.change, values=values, bars=sparkline(values), chart=Diagram(title="recall", source=chart)
    )


def passed() -> Report:
    """All gates passed; a parameter changed."""
    return tell(side(measured(BEFORE)), side(change(recall=0.851), rate=0.06, version="bc"), RECALL, LATENCY)


def warned() -> Report:
    """A rule that only warns is broken."""
    return tell(side(measured(BEFORE)), side(change(ece=0.034)), RECALL, ECE)


def inconclusive() -> Report:
    """The test set is too small to tell."""
    unsure = told("f1", 0.861, 0.857, (-0.017, 0.009))
    policy = Policy(
        evidence=(gate("f1", 15, no_worse_than="0.01"), gate("log_loss", 16, lower=True, no_worse_than="1%"))
    )
    both = side(measured(BEFORE))
    return tell(both, both, policy=policy, evaluations=(result(unsure, LOSS),))


def no_change() -> Report:
    """Both sides have the same values."""
    return tell(side(measured(BEFORE)), side(measured(BEFORE)), RECALL)


def first_measurement() -> Report:
    """There is no baseline yet: limits on values are judged, limits on changes wait."""
    floor = rule("accuracy", 9, at_least=Decimal("0.9"))
    return tell(None, side(measured(BEFORE)), RECALL, floor)


def error_on_base() -> Report:
    """The baseline's metrics can't be read: the gates can't be judged, and the report says what mends it."""
    broken = lost(
        State.UNREADABLE,
        f"{METRICS}:3: is not JSON: Expecting ',' delimiter",
        "run the stage that writes it again, or mend it by hand",
    )
    return tell(side(broken), side(measured(BEFORE)), RECALL, rule("accuracy", 9, at_least=Decimal("0.9")))


def error_on_head() -> Report:
    """The candidate's metrics can't be read, a value is no number, and bytes are nowhere on this machine."""
    broken = lost(
        State.UNREADABLE,
        f"{METRICS}:3: is not JSON: Expecting ',' delimiter",
        "run the stage that writes it again, or mend it by hand",
    )
    elsewhere = lost(State.MISSING_CACHE, "speed.json: is not in the cache", "dvc fetch speed.json", "speed.json")
    calibration = measured({"slope": 1.01}, "metrics/calibration.json")
    return tell(
        side(measured(BEFORE), calibration, measured({"p95_ms": 41}, "speed.json")),
        side(broken, measured({"slope": float("nan")}, "metrics/calibration.json"), elsewhere),
        RECALL,
    )


def stale() -> Report:
    """The metrics were not made by the code, data and parameters of the change."""
    old = (StaleStage(address="train", because=("src/train.py", f"{PARAMS}:train.learning_rate")),)
    return tell(side(measured(BEFORE)), side(measured(BEFORE), rate=0.2, stale=old), RECALL)


def truncated() -> Report:
    """More than a small budget holds: many gates, metrics, parameters and drawings."""
    carriers = {f"C{at:03}": 0.842 for at in range(40)}
    others = {f"layer_{at}": {"norm": 1 + at / 10} for at in range(60)}
    before = {**BEFORE, "carrier": carriers, **others}
    after = {
        **BEFORE, "recall": 0.811, "ece": 0.034, "carrier": dict.fromkeys(carriers, 0.843),
        **{name: {"norm": value["norm"] + 0.05} for name, value in others.items()},
    }  # fmt: skip
    units = {"layers": {f"units_{at}": 64 for at in range(30)}}, {"layers": {f"units_{at}": 128 for at in range(30)}}
    return tell(
        side(measured(before), params=units[0]),
        side(measured(after), params=units[1], rate=0.2, version="bc"),
        RECALL, ECE, rule("carrier.*", 10, max_decrease="0.01"),
        trends=(draw_trend(told("recall", 0.842, 0.811, (-0.049, -0.012))),),
    )  # fmt: skip


PROJECTS = ("churn", "delays", "fraud", "pricing", "search")


def monorepo() -> Report:
    """Five projects in one repository, each with its own pipeline: one got worse, one better, one is new."""

    def project(
        name: str, recall: float, loss: float, version: str
    ) -> tuple[MetricSet, MetricSet, tuple[StageRecord, ...]]:
        metrics = measured({"recall": recall, "log_loss": loss}, f"projects/{name}/metrics.json")
        params = measured({"train": {"learning_rate": 0.1 * len(version)}}, f"projects/{name}/params.yaml")
        return metrics, params, make_stages(version, f"projects/{name}")

    def gather(*projects: tuple[MetricSet, MetricSet, tuple[StageRecord, ...]]) -> Snapshot:
        return Snapshot(
            revision=RANGE.head,
            metrics=tuple(metrics for metrics, _, _ in projects),
            params=tuple(params for _, params, _ in projects),
            stages=tuple(stage for _, _, stages in projects for stage in stages),
        )

    base = gather(*(project(name, 0.8, 0.4, "a") for name in PROJECTS[:4]))
    head = gather(
        project("churn", 0.79, 0.41, "bc"),
        project("delays", 0.83, 0.39, "bc"),
        *(project(name, 0.8, 0.4, "a") for name in PROJECTS[2:4]),
        project("search", 0.7, 0.5, "a"),
    )
    comparison = compare(RANGE, base, head)
    policy = Policy(
        rules=(rule("recall", 3, max_decrease="0.005"), rule("projects/delays/*:log_loss", 5, max_increase="1%"))
    )
    keys: dict[str, Mapping[tuple[str, ...], int]]
    keys = {f"projects/{name}/dvc.yaml": {("stages", "train"): 2, ("stages", "evaluate"): 6} for name in PROJECTS}
    params = {f"projects/{name}/params.yaml": {("train",): 1, ("train", "learning_rate"): 2} for name in PROJECTS}
    return judge(comparison, policy, keys={**keys, **params}, pipeline=draw(comparison, head))


JUDGED_CASES = {
    "passed": passed(),
    "failed": failed(),
    "warned": warned(),
    "inconclusive": inconclusive(),
    "no-change": no_change(),
    "first-measurement": first_measurement(),
    "error-on-base": error_on_base(),
    "error-on-head": error_on_head(),
    "stale": stale(),
    "monorepo": monorepo(),
    "truncated": truncated(),
}
