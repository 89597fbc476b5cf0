"""What is recorded of served models and when somebody is called: PromQL over what `/metrics` of `seatrial serve` tells.

A canary or shadow is held against the stable version that answers at the same time, so that a bad day of the callers is
no alert. What has too few requests to be judged raises none.
"""

from __future__ import annotations

import re
from enum import Enum

from msgspec import Struct

from seatrial.errors import UsageError

_DURATION = re.compile(r"([0-9]{1,6})([smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Two empirical distributions of n and m values that have the same origin are farther apart than this times
# sqrt(1/n + 1/m) once in a hundred times at most (Smirnov 1948); in buckets even less often.
_SMIRNOV = 1.63
CANARY = 'role="canary"'
_REMEMBERED = 3600  # seconds for which a model that vanished is missed


class Duration(Struct, frozen=True, kw_only=True):
    """A span of time, and how Prometheus spells it."""

    text: str
    seconds: int


def parse_duration(text: str) -> Duration:
    """The duration that a number and one of s, m, h, d spell. UsageError for anything else."""
    found = _DURATION.match(text)
    if not found:
        raise UsageError(f"{text!r} is no duration", hint="a whole number with s, m, h or d: 30s, 5m, 1h")
    return Duration(text=text, seconds=int(found[1]) * _SECONDS[found[2]])


class Limits(Struct, frozen=True, kw_only=True):
    """From where on somebody is called; no `models` are all of them."""

    models: tuple[str, ...] = ()
    window: Duration = Duration(text="5m", seconds=300)
    prediction_window: Duration = Duration(text="1h", seconds=3600)
    hold: Duration = Duration(text="5m", seconds=300)
    digests_hold: Duration = Duration(text="15m", seconds=900)
    errors: float = 0.05  # share of requests answered with 5xx
    worse_errors: float = 0.01  # share of requests not answered with 2xx, beyond the stable version's
    p95: float = 0.5  # seconds
    slower: float = 1.25  # p95 over the stable version's
    shift: float = 0.1  # distance of distributions, 0 to 1
    drift: float = 0.2  # PSI; by custom a shift that calls for something to be done
    min_requests: int = 100  # in a window; rows, where drift is meant


class Severity(str, Enum):
    """Whether somebody is woken, or looks at it by day."""

    CRITICAL = "critical"
    WARNING = "warning"


class Recording(Struct, frozen=True, kw_only=True):
    """A series that Prometheus computes and keeps."""

    name: str
    expr: str


class Alert(Struct, frozen=True, kw_only=True):
    """A condition that calls somebody when it has held for a while; texts may hold `{{ $labels.NAME }}`."""

    name: str
    expr: str
    hold: Duration
    severity: Severity
    summary: str
    description: str


class Series(Struct, frozen=True, kw_only=True):
    """The names of the recorded series."""

    requests: str
    failures: str
    errors: str
    p95: str
    counts: str
    shares: str
    noise: str
    shift: str


def name_series(limits: Limits) -> Series:
    """The names, as `level:metric:operation` with the window."""
    short, long = limits.window.text, limits.prediction_window.text
    return Series(
        requests=f"model_role:model_requests:rate{short}",
        failures=f"model_role:model_request_failures:ratio_rate{short}",
        errors=f"model_role:model_request_errors:ratio_rate{short}",
        p95=f"model_role:model_request_seconds:p95_rate{short}",
        counts=f"model_role:model_predictions:increase{long}",
        shares=f"model_role_le:model_prediction:share_rate{long}",
        noise=f"model_role:model_prediction_shift:noise{long}",
        shift=f"model_role:model_prediction_shift:max{long}",
    )


def select(metric: str, models: tuple[str, ...], *matchers: str) -> str:
    """A selector of a metric's series of these models, or of all."""
    if len(models) == 1:
        matchers = (f'model="{models[0]}"', *matchers)
    elif models:
        names = "|".join(name.replace(".", "[.]") for name in models)
        matchers = (f'model=~"{names}"', *matchers)
    return f"{metric}{{{','.join(matchers)}}}" if matchers else metric


def record_series(limits: Limits) -> tuple[Recording, ...]:
    """What is recorded, in the order in which one builds on another."""
    return (*_record_requests(limits), *_record_predictions(limits))


def _record_requests(limits: Limits) -> tuple[Recording, ...]:
    names, window = name_series(limits), limits.window.text

    def rate(metric: str, by: str, *matchers: str) -> str:
        return f"sum by ({by}) (rate({select(metric, limits.models, *matchers)}[{window}]))"

    def share(code: str) -> str:
        # A code that never came has no series: its share is 0, and nothing where nothing was asked.
        counted = rate("model_requests_total", "model, role", code)
        return f"({counted} or {names.requests} * 0)\n  / ({names.requests} > 0)"

    buckets = rate("model_request_seconds_bucket", "model, role, le")
    return (
        Recording(name=names.requests, expr=rate("model_requests_total", "model, role")),
        Recording(name=names.failures, expr=share('code!~"2.."')),
        Recording(name=names.errors, expr=share('code=~"5.."')),
        Recording(name=names.p95, expr=f"histogram_quantile(0.95, {buckets})"),
    )


def _record_predictions(limits: Limits) -> tuple[Recording, ...]:
    """The largest distance of two cumulative distributions (Kolmogorov's), and how much of it may be chance."""
    names, window = name_series(limits), limits.prediction_window.text
    count = f"{select('model_prediction_count', limits.models)}[{window}]"
    bucket = f"{select('model_prediction_bucket', limits.models)}[{window}]"
    return (
        Recording(name=names.counts, expr=f"sum by (model, role) (increase({count}))"),
        Recording(
            name=names.shares,
            expr=f"sum by (model, role, le) (rate({bucket}))\n"
            f"  / on (model, role) group_left () (sum by (model, role) (rate({count})) > 0)",
        ),
        Recording(
            name=names.shift,
            expr=f'max by (model, role) (abs(\n  {names.shares}{{role!="stable"}}\n'
            f'    - on (model, le) group_left () {names.shares}{{role="stable"}}\n))',
        ),
        Recording(
            name=names.noise,
            expr=f'{_SMIRNOV} * sqrt(\n  1 / {names.counts}{{role!="stable"}}\n'
            f'    + on (model) group_left () (1 / {names.counts}{{role="stable"}})\n)',
        ),
    )


def raise_alerts(limits: Limits) -> tuple[Alert, ...]:
    """All alerts."""
    return (
        *_call_of_every_version(limits),
        *_call_of_other_versions(limits),
        *_call_of_drift(limits),
        *_call_of_what_is_live(limits),
    )


def hold_against_stable(series: str, operator: str, matcher: str = 'role!="stable"', *matchers: str) -> str:
    """A recorded series of other versions, less or over that of the stable one; further matchers are for both."""
    other, stable = select(series, (), matcher, *matchers), select(series, (), 'role="stable"', *matchers)
    return f"{other}\n  {operator} on (model) group_left () {stable}"


def require_requests(limits: Limits) -> str:
    """The roles of models that were asked often enough."""
    return f"{name_series(limits).requests} * {limits.window.seconds} >= {limits.min_requests}"


def _call_of_every_version(limits: Limits) -> tuple[Alert, ...]:
    names, who = name_series(limits), "{{ $labels.model }} ({{ $labels.role }})"
    return (
        Alert(
            name="ModelErrors",
            expr=f'{names.errors}{{role!="shadow"}} > {limits.errors:.12g}\n  and {require_requests(limits)}',
            hold=limits.hold,
            severity=Severity.CRITICAL,
            summary=f"{who} fails",
            description=f"More than {limits.errors:.12g} of its answers are 5xx. The server's log says why.",
        ),
        Alert(
            name="ModelSlow",
            expr=f'{names.p95}{{role!="shadow"}} > {limits.p95:.12g}\n  and {require_requests(limits)}',
            hold=limits.hold,
            severity=Severity.WARNING,
            summary=f"{who} is slow",
            description=f"One of twenty answers takes longer than {limits.p95:.12g} s.",
        ),
    )


def _call_of_other_versions(limits: Limits) -> tuple[Alert, ...]:
    names = name_series(limits)
    return (
        Alert(
            name="ModelWorseErrors",
            expr=f"{hold_against_stable(names.failures, '-')}"
            f" > {limits.worse_errors:.12g}\n  and {require_requests(limits)}",
            hold=limits.hold,
            severity=Severity.CRITICAL,
            summary="The {{ $labels.role }} of {{ $labels.model }} fails more often than the stable version",
            description=f"By more than {limits.worse_errors:.12g} of the requests, refusals (4xx) among them. "
            "Take it out of route.json.",
        ),
        Alert(
            name="ModelSlower",
            expr=f"{hold_against_stable(names.p95, '/', CANARY)}"
            f" > {limits.slower:.12g}\n  and {require_requests(limits)}",
            hold=limits.hold,
            severity=Severity.WARNING,
            summary="The canary of {{ $labels.model }} is slower than the stable version",
            description=f"Its 95th percentile is more than {limits.slower:.12g} times the stable version's.",
        ),
        Alert(
            name="ModelPredictionShift",
            expr=f"{names.shift} - {names.noise} > {limits.shift:.12g}",
            hold=limits.hold,
            severity=Severity.WARNING,
            summary="The {{ $labels.role }} of {{ $labels.model }} predicts otherwise than the stable version",
            description=f"Their distributions are more than {limits.shift:.12g} apart, chance set aside.",
        ),
    )


def _call_of_drift(limits: Limits) -> tuple[Alert, ...]:
    def alert(name: str, metric: str, what: str, whose: str) -> Alert:
        told = (metric, *(f"model_input_drift_{each}" for each in ("noise", "samples", "coverage")))
        drift, noise, samples, coverage = (select(each, limits.models) for each in told)
        return Alert(
            name=name,
            expr=f"max by (model, version) (\n  {drift} - {noise} > {limits.drift:.12g}\n"
            f"    and {samples} >= {limits.min_requests}\n    and {coverage} >= 1\n)",
            hold=limits.hold,
            severity=Severity.WARNING,
            summary=f"{what} of {{{{ $labels.model }}}} {{{{ $labels.version }}}} are not those that it was judged on",
            description=f"The PSI of {whose} is above {limits.drift:.12g}, chance set aside.",
        )

    inputs = "an input at least (model_input_drift names it)"
    return (
        alert("ModelInputDrift", "model_input_drift_max", "The inputs", inputs),
        alert("ModelPredictionDrift", "model_prediction_drift", "The predictions", "them"),
    )


def _call_of_what_is_live(limits: Limits) -> tuple[Alert, ...]:
    names, told = name_series(limits), select("model_info", limits.models)
    return (
        *_call_of_absence(limits),
        Alert(
            name="ModelTwoDigests",
            expr=f"count by (model) (count by (model, digest) ({told})) > 1\n"
            f'  unless on (model) {names.requests}{{role!="stable"}} > 0',
            hold=limits.digests_hold,
            severity=Severity.WARNING,
            summary="Two digests of {{ $labels.model }} are live",
            description="Servers differ in what they answer with, or a canary without callers was forgotten.",
        ),
    )


def _call_of_absence(limits: Limits) -> tuple[Alert, ...]:
    def alert(name: str, expr: str, who: str) -> Alert:
        return Alert(
            name=name,
            expr=expr,
            hold=limits.hold,
            severity=Severity.CRITICAL,
            summary=f"No server tells of {who}",
            description="None runs, none is scraped, or none can load a version that is whole.",
        )

    if limits.models:
        each = "\n  or ".join(f'absent(model_info{{model="{name}"}})' for name in limits.models)
        return (alert("ModelAbsent", each, "{{ $labels.model }}"),)
    memory = f"{_REMEMBERED + 2 * limits.hold.seconds}s"
    gone = f"group by (model) (last_over_time(model_info[{memory}]))\n  unless group by (model) (model_info)"
    return (
        alert("ModelAbsent", "absent(model_info)", "any model"),
        alert("ModelVanished", gone, "{{ $labels.model }} any more"),
    )
