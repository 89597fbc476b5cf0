"""Whether a version that answers requests may go on: what is asked of its metrics, and what the answers mean."""

from __future__ import annotations

import math
from collections.abc import Iterable
from string import Template

from msgspec import Struct
from msgspec.structs import replace

from seatrial.core.deployment import Answer, Check
from seatrial.core.environment import QueryLimit, TrafficLimits
from seatrial.core.release import Release


class Reading(Struct, frozen=True, kw_only=True):
    """What was found for a limit; `value` is None where there was nothing, and `problem` says why."""

    limit: QueryLimit
    value: float | None = None
    problem: str = ""


def list_queries(limits: TrafficLimits, release: Release) -> tuple[QueryLimit, ...]:
    """What is asked of Prometheus about a version, the number of its requests first where that is needed."""
    names = {"model": release.name, "version": release.version, "digest": release.digest}
    names["window"] = f"{math.ceil(limits.window)}s"
    asked = (*limit_requests(limits), *limits.queries)
    return tuple(replace(each, query=Template(each.query).safe_substitute(names)) for each in asked)


def limit_requests(limits: TrafficLimits) -> tuple[QueryLimit, ...]:
    """The limits on a version's requests, errors and times, as PromQL over the metrics of `seatrial serve`."""
    which = ['model="$model"', 'version="$version"', 'role!="shadow"']
    which += [f"{name}={_quote(value)}" for name, value in limits.labels.items()]
    answered = _count(",".join(which))
    found = []
    if limits.max_errors is not None:
        failed = _count(",".join((*which, 'code=~"5.."')))
        found.append(QueryLimit(name="errors", query=f"{failed} / ({answered} > 0)", at_most=limits.max_errors))
    if limits.p95_ms is not None:
        buckets = f"model_request_seconds_bucket{{{','.join(which)}}}[$window]"
        p95 = f"1000 * histogram_quantile(0.95, sum by (le) (rate({buckets})))"
        found.append(QueryLimit(name="p95 in ms", query=p95, at_most=limits.p95_ms))
    if not found:
        return ()
    return (QueryLimit(name="requests", query=answered, at_least=limits.min_requests, guards=True), *found)


def _quote(value: str) -> str:
    """A string of PromQL, in which nothing is put in."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.replace("$", "$$")


def _count(which: str) -> str:
    """Requests in the window. A counter that appears in it began at 0, which `increase` can't know."""
    series = f"model_requests_total{{{which}}}"
    grown = f"sum(increase({series}[$window])) or vector(0)"
    new = f"sum(min_over_time({series}[$window]) unless {series} offset $window) or vector(0)"
    return f"(({grown}) + ({new}))"


def judge_readings(title: str, readings: Iterable[Reading]) -> Check:
    """One check of all readings: a limit that is broken fails it, one that can't be judged leaves it inconclusive.

    Behind one that guards the others nothing is said where it does not hold. No reading at all is inconclusive.
    """
    told, answers = [], set()
    for reading in readings:
        answer = _judge(reading)
        answers.add(answer)
        told.append(_spell(reading, answer))
        if reading.limit.guards and answer is not Answer.PASS:
            break
    worst = next((each for each in (Answer.FAIL, Answer.INCONCLUSIVE) if each in answers), Answer.PASS)
    return Check(
        name="prometheus",
        answer=worst if answers else Answer.INCONCLUSIVE,
        detail=f"{title}: {', '.join(told) or 'nothing was asked'}",
    )


def _judge(reading: Reading) -> Answer:
    limit, value = reading.limit, reading.value
    if value is None or not math.isfinite(value):
        return Answer.INCONCLUSIVE
    low = limit.at_least is not None and value < limit.at_least
    high = limit.at_most is not None and value > limit.at_most
    if low or high:
        return Answer.INCONCLUSIVE if limit.guards else Answer.FAIL
    return Answer.PASS


def _spell(reading: Reading, answer: Answer) -> str:
    limit, value = reading.limit, reading.value
    if value is None:
        return f"{limit.name} unknown ({reading.problem})"
    allowed = [f"at least {limit.at_least:.4g}"] if limit.at_least is not None else []
    allowed += [f"at most {limit.at_most:.4g}"] if limit.at_most is not None else []
    return f"{limit.name} {value:.4g}" + ("" if answer is Answer.PASS else f" ({', '.join(allowed)})")
