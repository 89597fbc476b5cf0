"""What the metrics of a version mean, and what is asked for them."""

from __future__ import annotations

import math

import pytest

from seatrial.core.deployment import Answer
from seatrial.core.environment import QueryLimit, TrafficLimits
from seatrial.core.traffic import Reading, judge_readings, list_queries
from seatrial.serving.traffic import Traffic, find_quantile
from tests.unit.serving.stores import make_release

GUARD = QueryLimit(name="requests", query="", at_least=10, guards=True)
LIMIT = QueryLimit(name="errors", query="", at_most=0.1)
FLOOR = QueryLimit(name="share", query="", at_least=0.5)


@pytest.mark.parametrize(
    ("readings", "answer", "said"),
    [
        ([(GUARD, 10), (LIMIT, 0.1)], Answer.PASS, "5 %: requests 10, errors 0.1"),
        ([(GUARD, 10), (LIMIT, 0.2)], Answer.FAIL, "errors 0.2 (at most 0.1)"),
        ([(FLOOR, 0.4)], Answer.FAIL, "share 0.4 (at least 0.5)"),
        ([(GUARD, 9), (LIMIT, 0.2)], Answer.INCONCLUSIVE, "requests 9 (at least 10)"),
        ([(GUARD, None), (LIMIT, 0.2)], Answer.INCONCLUSIVE, "requests unknown (why)"),
        ([(LIMIT, None), (FLOOR, 0.4)], Answer.FAIL, "errors unknown (why), share 0.4"),
        ([(LIMIT, None), (FLOOR, 0.6)], Answer.INCONCLUSIVE, "errors unknown (why)"),
        ([(LIMIT, math.nan)], Answer.INCONCLUSIVE, "errors nan"),
        ([(LIMIT, math.inf)], Answer.INCONCLUSIVE, "errors inf"),
        ([], Answer.INCONCLUSIVE, "nothing was asked"),
    ],
)
def test_broken_limit_fails_and_doubt_is_never_a_pass(
    readings: list[tuple[QueryLimit, float | None]], answer: Answer, said: str
) -> None:
    """The worst answer counts, and behind a guard that does not hold nothing is said."""
    check = judge_readings("5 %", [Reading(limit=limit, value=value, problem="why") for limit, value in readings])
    assert (check.answer, said in check.detail) == (answer, True), check.detail


def test_names_of_the_version_are_put_into_expressions() -> None:
    """Into those of the environment, too; what is no name of ours stays as it is written."""
    limits = TrafficLimits(
        url="http://p",
        window=29.5,
        labels={"env": 'a "$model"'},
        max_errors=0.1,
        p95_ms=5,
        queries=(QueryLimit(name="mine", query='x{v="$version",d="$digest",r=~"a$"}[$window]', at_most=1),),
    )
    release = make_release("7")
    asked = list_queries(limits, release)
    assert [limit.name for limit in asked] == ["requests", "errors", "p95 in ms", "mine"]
    assert r'model_requests_total{model="m",version="7",role!="shadow",env="a \"$model\""}[30s]' in asked[0].query
    assert asked[3].query == f'x{{v="7",d="{release.digest}",r=~"a$"}}[30s]'
    assert [limit.name for limit in list_queries(TrafficLimits(queries=(LIMIT,)), release)] == ["errors"]


@pytest.mark.parametrize(
    ("times", "q", "found"),
    [
        (((1.0, 0.0), (2.0, 4.0), (math.inf, 4.0)), 0.5, 1.5),
        (((1.0, 4.0), (math.inf, 8.0)), 0.95, 1.0),
        (((1.0, 0.0), (math.inf, 0.0)), 0.5, None),
        ((), 0.5, None),
    ],
)
def test_quantile_is_that_of_prometheus(times: tuple[tuple[float, float], ...], q: float, found: float | None) -> None:
    """Linear within a bucket, the last finite bound beyond it, and no number without requests."""
    assert find_quantile(times, q) == found if found is not None else math.isnan(find_quantile(times, q))


def test_counts_in_between_are_what_came_since() -> None:
    """Times bucket by bucket."""
    before = Traffic(requests=2, failed=1, times=((1.0, 1.0), (2.0, 2.0)))
    after = Traffic(requests=5, failed=1, times=((1.0, 3.0), (2.0, 5.0)), compared=4)
    assert after.since(before) == Traffic(requests=3, failed=0, times=((1.0, 2.0), (2.0, 3.0)), compared=4)
