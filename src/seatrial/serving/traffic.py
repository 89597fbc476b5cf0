"""What a server's own `/metrics` tell of one version: its requests, errors and times, and how its answers differ."""

from __future__ import annotations

import math
import urllib.error
import urllib.request

from msgspec import Struct

from seatrial.core.environment import TrafficLimits
from seatrial.core.traffic import Reading, limit_requests
from seatrial.errors import ReleaseError

_MOST_BYTES = 16 << 20


class Traffic(Struct, frozen=True, kw_only=True):
    """Counts since a server began to count; `times` are cumulative counts by the upper bound in seconds."""

    requests: float = 0.0
    failed: float = 0.0
    times: tuple[tuple[float, float], ...] = ()
    compared: float = 0.0
    mismatched: float = 0.0

    def since(self, before: Traffic) -> Traffic:
        """What came in between. ReleaseError where a server that was started anew counts from 0 again."""
        earlier = dict(before.times)
        found = Traffic(
            requests=self.requests - before.requests,
            failed=self.failed - before.failed,
            times=tuple((bound, count - earlier.get(bound, 0.0)) for bound, count in self.times),
            compared=self.compared - before.compared,
            mismatched=self.mismatched - before.mismatched,
        )
        if min(found.requests, found.failed, found.compared, found.mismatched) < 0:
            raise ReleaseError("the server was started anew while it was watched")
        return found


def read_traffic(address: str, model: str, version: str, *, timeout: float = 10.0) -> Traffic:
    """The counts of a version at a server; ReleaseError where they can't be had."""
    from prometheus_client.parser import text_string_to_metric_families

    sums: dict[str, float] = dict.fromkeys(("requests", "failed", "compared", "mismatched"), 0.0)
    times: dict[float, float] = {}
    try:
        for family in text_string_to_metric_families(_fetch(f"{address.rstrip('/')}/metrics", timeout)):
            for sample in family.samples:
                labels, value = sample.labels, float(sample.value)
                if (labels.get("model"), labels.get("version")) != (model, version):
                    continue
                if sample.name == "model_shadow_compared_total":
                    sums["compared"] += value
                elif sample.name == "model_shadow_mismatch_total":
                    sums["mismatched"] += value
                elif labels.get("role") == "shadow":
                    continue
                elif sample.name == "model_requests_total":
                    sums["requests"] += value
                    sums["failed"] += value if labels.get("code", "").startswith("5") else 0.0
                elif sample.name == "model_request_seconds_bucket":
                    bound = float(labels["le"])
                    times[bound] = times.get(bound, 0.0) + value
    except (ValueError, KeyError) as error:
        raise ReleaseError(f"{address}/metrics are no metrics: {error}") from error
    return Traffic(**sums, times=tuple(sorted(times.items())))


def _fetch(url: str, timeout: float) -> str:
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 - the caller's own server
            content: bytes = answer.read(_MOST_BYTES)
    except OSError as error:
        raise ReleaseError(f"{url}: {error}") from error
    return content.decode(errors="replace")


def list_readings(limits: TrafficLimits, traffic: Traffic) -> tuple[Reading, ...]:
    """The same limits as for a Prometheus, read from the counts of one server."""
    share = traffic.failed / traffic.requests if traffic.requests else math.nan
    values = {
        "requests": traffic.requests,
        "errors": share,
        "p95 in ms": 1000 * find_quantile(traffic.times, 0.95),
    }
    return tuple(Reading(limit=limit, value=values[limit.name]) for limit in limit_requests(limits))


def find_quantile(times: tuple[tuple[float, float], ...], q: float) -> float:
    """A quantile out of cumulative counts by upper bound, linear within a bucket; NaN where nothing was counted.

    As Prometheus's `histogram_quantile`, beyond the last bound that is finite: that bound.

    >>> find_quantile(((0.1, 8.0), (0.2, 10.0), (float("inf"), 10.0)), 0.9)
    0.15
    """
    total = times[-1][1] if times else 0.0
    if not total:
        return math.nan
    low, below = 0.0, 0.0
    for bound, count in times:
        if count >= q * total:
            return low if math.isinf(bound) else low + (bound - low) * (q * total - below) / (count - below)
        low, below = bound, count
    return math.nan
