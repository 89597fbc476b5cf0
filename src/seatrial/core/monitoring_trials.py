"""For every alert, what has to raise it and what must not: series to be fed to `promtool test rules`.

The numbers follow from the limits, so that the trials hold whatever thresholds are chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from msgspec import Struct

from seatrial.core.monitoring import Alert, Limits, raise_alerts

_PARTS = 5  # of a window, one step each
_SLACK = 3
_LOW, _HIGH = 0.1, 0.9


class Trial(Struct, frozen=True, kw_only=True):
    """Series by their selector, in promtool's notation, and the labels of the alerts that they have to raise."""

    name: str
    alert: str
    seconds: float
    series: Mapping[str, str]
    raised: tuple[Mapping[str, str], ...] = ()


class _Bench(Struct, frozen=True, kw_only=True):
    """What the series of one alert's trials are made with; counts are those of one step."""

    limits: Limits
    alert: Alert
    model: str

    @property
    def steps(self) -> int:
        return _PARTS + ceil(self.alert.hold.seconds / step_seconds(self.limits)) + _SLACK

    @property
    def many(self) -> float:
        """More requests than are needed, and so many predictions that chance is small."""
        return max(1000.0, float(self.limits.min_requests))

    @property
    def few(self) -> float:
        return self.limits.min_requests / (10 * _PARTS)

    def count(self, each: float) -> str:
        """A counter that grows by as much in every step."""
        return f"0+{each:.10g}x{self.steps}"

    def hold(self, value: float) -> str:
        """A gauge that stays."""
        return f"{value:.10g}x{self.steps}"

    def ask(self, role: str, each: float, code: str = "200") -> dict[str, str]:
        """Requests that are answered with a code."""
        labels = f'model="{self.model}",version="1",role="{role}",code="{code}"'
        return {f"model_requests_total{{{labels}}}": self.count(each)}

    def fail(self, role: str, each: float, share: float, code: str) -> dict[str, str]:
        """Requests of which a share is answered with a code that is no 200."""
        return {**self.ask(role, each * (1 - share)), **self.ask(role, each * share, code)}

    def take(self, role: str, each: float, seconds: tuple[float, float]) -> dict[str, str]:
        """Requests that take longer than the first time and no longer than the second."""
        return {**self.ask(role, each), **self._spread("model_request_seconds", role, each, seconds, seconds[1])}

    def predict(self, role: str, each: float, value: float) -> dict[str, str]:
        """Predictions of one value, in the buckets that every role has."""
        return self._spread("model_prediction", role, each, (_LOW, _HIGH), value)

    def _spread(self, metric: str, role: str, each: float, bounds: tuple[float, ...], value: float) -> dict[str, str]:
        labels = f'model="{self.model}",version="1",role="{role}"'
        buckets = {f"{bound:.10g}": each if value <= bound else 0 for bound in bounds} | {"+Inf": each}
        return {
            **{f'{metric}_bucket{{{labels},le="{bound}"}}': self.count(below) for bound, below in buckets.items()},
            f"{metric}_count{{{labels}}}": self.count(each),
        }

    def drift(self, metric: str, psi: float, noise: float, samples: float, coverage: float = 1) -> dict[str, str]:
        """What a server tells of a version's drift."""
        labels = f'{{model="{self.model}",version="1"}}'
        known = {"noise": noise, "samples": samples, "coverage": coverage}
        told = {metric: psi, **{f"model_input_drift_{name}": value for name, value in known.items()}}
        return {f"{name}{labels}": self.hold(value) for name, value in told.items()}

    def tell(self, digest: str, values: str | None = None, model: str = "") -> dict[str, str]:
        """A server that has loaded a digest."""
        labels = f'model="{model or self.model}",version="1",digest="{digest}",commit="5601846"'
        return {f"model_info{{{labels}}}": values or self.hold(1)}

    def expect(self, name: str, series: Mapping[str, str], *raised: Mapping[str, str]) -> Trial:
        """The trial."""
        seconds = self.steps * step_seconds(self.limits)
        return Trial(name=name, alert=self.alert.name, seconds=seconds, series=series, raised=raised)


def step_seconds(limits: Limits) -> float:
    """The time between two samples of a trial."""
    return limits.window.seconds / _PARTS


def try_alerts(limits: Limits) -> tuple[Trial, ...]:
    """The trials of all alerts."""
    model = limits.models[0] if limits.models else "flights-delay"
    benches = (_Bench(limits=limits, alert=alert, model=model) for alert in raise_alerts(limits))
    return tuple(trial for bench in benches for trial in _TRIALS[bench.alert.name](bench))


def _try_errors(bench: _Bench) -> tuple[Trial, ...]:
    limit, role = bench.limits.errors, "stable"
    high = (1 + limit) / 2
    return (
        bench.expect("errors", bench.fail(role, bench.many, high, "500"), _who(bench, role)),
        bench.expect("a few errors", bench.fail(role, bench.many, limit / 2, "500")),
        bench.expect("requests that are refused", bench.fail(role, bench.many, high, "400")),
        bench.expect("too few requests to judge", bench.fail(role, bench.few, high, "500")),
    )


def _try_slowness(bench: _Bench) -> tuple[Trial, ...]:
    limit, role = bench.limits.p95, "stable"
    return (
        bench.expect("slow answers", bench.take(role, bench.many, (2 * limit, 4 * limit)), _who(bench, role)),
        bench.expect("quick answers", bench.take(role, bench.many, (limit / 4, limit / 2))),
        bench.expect("too few requests to judge", bench.take(role, bench.few, (2 * limit, 4 * limit))),
    )


def _try_worse_errors(bench: _Bench) -> tuple[Trial, ...]:
    limit = bench.limits.worse_errors
    stable = bench.ask("stable", bench.many)
    high = (1 + limit) / 2

    def canary(each: float, share: float) -> dict[str, str]:
        return {**stable, **bench.fail("canary", each, share, "400")}

    both = {**bench.fail("stable", bench.many, high, "500"), **bench.fail("canary", bench.many, high, "500")}
    shadow = {**stable, **bench.fail("shadow", bench.many, high, "500")}
    return (
        bench.expect("a canary that refuses", canary(bench.many, high), _who(bench, "canary")),
        bench.expect("a shadow that fails", shadow, _who(bench, "shadow")),
        bench.expect("a canary that seldom refuses", canary(bench.many, limit / 2)),
        bench.expect("both fail alike", both),
        bench.expect("too few requests to judge", canary(bench.few, high)),
    )


def _try_slower(bench: _Bench) -> tuple[Trial, ...]:
    limit = bench.limits.slower
    stable = bench.take("stable", bench.many, (0.5, 1))

    def canary(each: float, times: float) -> dict[str, str]:
        return {**stable, **bench.take("canary", each, (0.5 * times, times))}

    return (
        bench.expect("a slower canary", canary(bench.many, 2 * limit), _who(bench, "canary")),
        bench.expect("a canary as quick", canary(bench.many, 1)),
        bench.expect("too few requests to judge", canary(bench.few, 2 * limit)),
    )


def _try_shift(bench: _Bench) -> tuple[Trial, ...]:
    stable = bench.predict("stable", bench.many, _LOW)

    def beside(role: str, each: float, value: float) -> dict[str, str]:
        return {**stable, **bench.predict(role, each, value)}

    return (
        bench.expect("other predictions", beside("canary", bench.many, _HIGH), _who(bench, "canary")),
        bench.expect("other predictions of a shadow", beside("shadow", bench.many, _HIGH), _who(bench, "shadow")),
        bench.expect("the same predictions", beside("canary", bench.many, _LOW)),
        bench.expect("one prediction proves nothing", beside("canary", 1 / bench.steps, _HIGH)),
    )


def _try_input_drift(bench: _Bench) -> tuple[Trial, ...]:
    metric, limit, enough = "model_input_drift_max", bench.limits.drift, bench.limits.min_requests
    return (
        *_try_drift(bench, metric),
        bench.expect("as far as chance goes", bench.drift(metric, 2 * limit, 1.5 * limit, enough)),
        bench.expect("too few rows to judge", bench.drift(metric, 2 * limit, limit / 2, enough - 1)),
        bench.expect("too short a time to judge", bench.drift(metric, 2 * limit, limit / 2, enough, 0.9)),
    )


def _try_prediction_drift(bench: _Bench) -> tuple[Trial, ...]:
    return _try_drift(bench, "model_prediction_drift")


def _try_drift(bench: _Bench, metric: str) -> tuple[Trial, ...]:
    limit, enough = bench.limits.drift, bench.limits.min_requests
    version = {"model": bench.model, "version": "1"}
    return (
        bench.expect("far from the profile", bench.drift(metric, 2 * limit, limit / 2, enough), version),
        bench.expect("near the profile", bench.drift(metric, limit / 2, limit / 10, enough)),
    )


def _try_absence(bench: _Bench) -> tuple[Trial, ...]:
    names = bench.limits.models
    others = {key: text for name in names[1:] for key, text in bench.tell("sha256:a", model=name).items()}
    labels = {"model": bench.model} if names else {}
    return (
        bench.expect("no server", {'up{job="models"}': bench.hold(1), **others}, labels),
        bench.expect("a server", {**others, **bench.tell("sha256:a")}),
    )


def _try_vanishing(bench: _Bench) -> tuple[Trial, ...]:
    other = bench.tell("sha256:b", model="other")
    return (
        bench.expect("a model goes", {**other, **bench.tell("sha256:a", "1x1 stale")}, {"model": bench.model}),
        bench.expect("all stay", {**other, **bench.tell("sha256:a")}),
    )


def _try_two_digests(bench: _Bench) -> tuple[Trial, ...]:
    two = {**bench.tell("sha256:a"), **bench.tell("sha256:b")}
    return (
        bench.expect("two servers differ", two, {"model": bench.model}),
        bench.expect("a canary has callers", {**two, **bench.ask("canary", bench.many)}),
        bench.expect("one digest", bench.tell("sha256:a")),
    )


def _who(bench: _Bench, role: str) -> dict[str, str]:
    return {"model": bench.model, "role": role}


_TRIALS = {
    "ModelErrors": _try_errors,
    "ModelSlow": _try_slowness,
    "ModelWorseErrors": _try_worse_errors,
    "ModelSlower": _try_slower,
    "ModelPredictionShift": _try_shift,
    "ModelInputDrift": _try_input_drift,
    "ModelPredictionDrift": _try_prediction_drift,
    "ModelAbsent": _try_absence,
    "ModelVanished": _try_vanishing,
    "ModelTwoDigests": _try_two_digests,
}
