"""What `/metrics` tells: counts and times of requests by model, version and role, in Prometheus's words.

The labels are bounded: models are those of the catalog, versions those that are loaded or left last, roles three,
codes those that the server answers with.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from seatrial.serving.drift import Reading
from seatrial.serving.live import LiveModels
from seatrial.serving.runtimes import Array

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# Probabilities in tenths; larger predictions in powers of ten. A histogram with bounds below 0 may have no sum.
PREDICTIONS = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 10, 100, 1000, 10_000)
_FEW = 16
_WORST = 10  # features whose drift is told

Labels = tuple[str, ...]
Outcomes = Mapping[tuple[str, str], int]


class Counts:
    """A counter with labels, of which the first two are model and version."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._values: dict[Labels, int] = {}
        self._changing = threading.Lock()

    def add(self, *labels: str) -> None:
        """Count one."""
        with self._changing:
            self._values[labels] = self._values.get(labels, 0) + 1

    def collect(self, keep: Callable[[Labels], bool]) -> Metric:
        """The counts of what is kept; the others are forgotten."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        with self._changing:
            self._values = {labels: value for labels, value in self._values.items() if keep(labels)}
            for labels, value in sorted(self._values.items()):
                family.add_metric(labels, value)
        return family


class _Spread:
    """The counts of one histogram."""

    __slots__ = ("counts", "total")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * (buckets + 1)
        self.total = 0.0


class Distribution:
    """A histogram with labels, of which the first two are model and version."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> None:
        self._name, self._text, self._labels, self._buckets = name, text, labels, buckets
        self._values: dict[Labels, _Spread] = {}
        self._changing = threading.Lock()

    def add(self, labels: Labels, value: float) -> None:
        """Count one value."""
        with self._changing:
            spread = self._find(labels)
            spread.counts[bisect_left(self._buckets, value)] += 1
            spread.total += value

    def add_all(self, labels: Labels, values: Array) -> None:
        """Count values of shape (n,)."""
        if values.size <= _FEW:
            for value in values.tolist():
                self.add(labels, value)
            return
        found = np.bincount(np.searchsorted(self._buckets, values), minlength=len(self._buckets) + 1)
        with self._changing:
            spread = self._find(labels)
            spread.counts = [old + int(new) for old, new in zip(spread.counts, found, strict=True)]
            spread.total += float(values.sum(dtype=np.float64))

    def _find(self, labels: Labels) -> _Spread:
        return self._values.get(labels) or self._values.setdefault(labels, _Spread(len(self._buckets)))

    def collect(self, keep: Callable[[Labels], bool]) -> Metric:
        """The histograms of what is kept; the others are forgotten."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        bounds = [*(str(float(bound)) for bound in self._buckets), "+Inf"]
        with self._changing:
            self._values = {labels: spread for labels, spread in self._values.items() if keep(labels)}
            for labels, spread in sorted(self._values.items()):
                cumulative = np.cumsum(spread.counts).tolist()
                family.add_metric(labels, list(zip(bounds, cumulative, strict=True)), spread.total)
        return family


class ServerMetrics(Collector):
    """The numbers of one server; `count_deployments` tells how often each (environment, outcome) came."""

    def __init__(self, models: LiveModels, count_deployments: Callable[[], Outcomes] = dict) -> None:
        named = ("model", "version")
        self._models = models
        self._count_deployments = count_deployments
        self.requests = Counts("model_requests", "Answered requests.", (*named, "role", "code"))
        self.seconds = Distribution(
            "model_request_seconds", "Time from a read request to its answer.", (*named, "role"), SECONDS
        )
        self.predictions = Distribution("model_prediction", "Predicted values.", (*named, "role"), PREDICTIONS)
        self.compared = Counts("model_shadow_compared", "Requests that the shadow answered too.", named)
        self.mismatched = Counts("model_shadow_mismatch", "Answers of the shadow that differ.", named)
        self.dropped = Counts("model_shadow_dropped", "Requests that the shadow had no time for.", named)
        self.logged = Counts("model_log_rows", "Logged predictions.", named)
        self.unlogged = Counts("model_log_dropped", "Predictions that could not be logged.", named)
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def render(self, accept: str) -> tuple[bytes, str]:
        """The metrics and their content type, in the best format that a client accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterable[Metric]:
        """All families; called by the registry."""
        known = {(name, state.version) for name, model in self._models.known.items() for state in model.list_states()}

        def keep(labels: Labels) -> bool:
            return labels[:2] in known

        counts: tuple[Counts | Distribution, ...] = (
            self.requests,
            self.seconds,
            self.predictions,
            self.compared,
            self.mismatched,
            self.dropped,
            self.logged,
            self.unlogged,
        )
        yield from (family.collect(keep) for family in counts)
        yield self._tell_models()
        yield from self._tell_drift()
        yield self._tell_deployments()

    def _tell_models(self) -> Metric:
        family = GaugeMetricFamily("model_info", "A loaded version.", labels=("model", "version", "digest", "commit"))
        for name, model in sorted(self._models.known.items()):
            for version, served in sorted(model.arrangement.loaded.items()):
                family.add_metric((name, version, served.release.digest, served.release.commit), 1)
        return family

    def _tell_drift(self) -> Iterable[Metric]:
        def gauge(name: str, text: str, *more: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(name, text, labels=("model", "version", *more))

        each = gauge("model_input_drift", "PSI of an input against the release's profile: the farthest ten.", "feature")
        most = gauge("model_input_drift_max", "PSI of the input that is farthest from the release's profile.")
        samples = gauge("model_input_drift_samples", "Rows that the drift was measured on.")
        coverage = gauge("model_input_drift_coverage", "Share of half a window that was watched; then it stays 1.")
        noise = gauge("model_input_drift_noise", "PSI that chance alone reaches once in a hundred times.")
        score = gauge("model_prediction_drift", "PSI of the predictions against the release's profile.")
        for labels, reading in self._read_drift():
            samples.add_metric(labels, reading.samples)
            coverage.add_metric(labels, reading.coverage)
            for feature, drift in reading.features[:_WORST]:
                each.add_metric((*labels, feature), drift)
            for _, drift in reading.features[:1]:
                most.add_metric(labels, drift)
            if reading.noise is not None:
                noise.add_metric(labels, reading.noise)
            if reading.score is not None:
                score.add_metric(labels, reading.score)
        return each, most, samples, coverage, noise, score

    def _read_drift(self) -> Iterable[tuple[Labels, Reading]]:
        for name, model in sorted(self._models.known.items()):
            for version, served in sorted(model.arrangement.loaded.items()):
                if served.drift:
                    yield (name, version), served.drift.read()

    def _tell_deployments(self) -> Metric:
        family = CounterMetricFamily("model_deploy", "Deployments by their outcome.", labels=("env", "outcome"))
        for labels, value in sorted(self._count_deployments().items()):
            family.add_metric(labels, value)
        return family


def as_numbers(values: Array) -> Any:
    """Predictions that are numbers, as 64-bit floats; None for others, such as names of classes."""
    return values.astype(np.float64) if values.dtype.kind in "biuf" else None
