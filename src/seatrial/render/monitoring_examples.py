"""Settings to start from for what stands around Prometheus: Alertmanager, an OpenTelemetry collector, Argo Rollouts."""

from __future__ import annotations

from typing import Any

from seatrial.core.monitoring import CANARY, Limits, hold_against_stable, name_series, require_requests, select
from seatrial.render.prometheus import RULES, dump_yaml

ALERTMANAGER = "alertmanager.example.yml"
COLLECTOR = "otel-collector.example.yml"
ARGO = "argo-analysis.example.yml"


def render_alertmanager() -> str:
    """Who is called for which alert, once for each model."""
    by_day = {"name": "by-day", "webhook_configs": [{"url": "http://127.0.0.1:9099/by-day"}]}
    at_once = {"name": "at-once", "webhook_configs": [{"url": "http://127.0.0.1:9099/at-once"}]}
    inhibition = {
        "source_matchers": ["severity = critical"],
        "target_matchers": ["severity = warning"],
        "equal": ["model", "role"],
    }
    route = {
        "receiver": "by-day",
        "group_by": ["model", "alertname"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "12h",
        "routes": [{"matchers": ["severity = critical"], "receiver": "at-once", "repeat_interval": "1h"}],
    }
    document = {"route": route, "inhibit_rules": [inhibition], "receivers": [by_day, at_once]}
    return dump_yaml(
        document, "Put your own receivers in place of the two addresses.\namtool check-config " + ALERTMANAGER
    )


def render_collector() -> str:
    """From `/metrics` to New Relic by OTLP. It takes no cumulative counts: they are made deltas on the way."""
    scrape = {
        "job_name": "seatrial",
        "scrape_interval": "30s",
        "static_configs": [{"targets": ["127.0.0.1:8080"]}],
    }
    exporter = {
        "endpoint": "https://otlp.nr-data.net",
        "headers": {"api-key": "${env:NEW_RELIC_LICENSE_KEY}"},
        "compression": "gzip",
    }
    pipeline = {
        "receivers": ["prometheus"],
        "processors": ["memory_limiter", "cumulativetodelta", "batch"],
        "exporters": ["otlphttp"],
    }
    document: dict[str, Any] = {
        "receivers": {"prometheus": {"config": {"scrape_configs": [scrape]}}},
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_mib": 256},
            "cumulativetodelta": {},
            "batch": {},
        },
        "exporters": {"otlphttp": exporter},
        "service": {"pipelines": {"metrics": pipeline}},
    }
    return dump_yaml(
        document,
        "For otelcol-contrib. In the EU: https://otlp.eu01.nr-data.net. Another back end that takes cumulative counts\n"
        "needs neither cumulativetodelta nor the key.",
    )


def render_argo(limits: Limits) -> str:
    """The three comparisons with the stable version; what can't be judged pauses the rollout, and never promotes."""
    names, model = name_series(limits), "{{args.model}}"
    named = f'model="{model}"'
    shift, noise = (select(name, (model,), CANARY) for name in (names.shift, names.noise))
    # Where chance alone makes as much, as with few predictions, there is no result: that must not pass either.
    distance = f"{shift} - {noise}\n  and {noise} <= {limits.shift:.12g}"
    failures = hold_against_stable(names.failures, "-", CANARY, named)
    times = hold_against_stable(names.p95, "/", CANARY, named)
    document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "seatrial-canary"},
        "spec": {
            "args": [{"name": "model"}, {"name": "prometheus", "value": "http://prometheus:9090"}],
            "metrics": [
                _state_measure("failures", _guard(failures, limits), limits.worse_errors, limits),
                _state_measure("p95", _guard(times, limits), limits.slower, limits),
                _state_measure("prediction-shift", distance, limits.shift, limits),
            ],
        },
    }
    return dump_yaml(document, f'Needs the series that {RULES} records, with role="canary" for the canary\'s.')


def _guard(expr: str, limits: Limits) -> str:
    return f"{expr}\n  and {require_requests(limits)}"


def _state_measure(name: str, query: str, limit: float, limits: Limits) -> dict[str, Any]:
    return {
        "name": name,
        "initialDelay": limits.window.text,
        "interval": limits.window.text,
        "count": 5,
        "inconclusiveLimit": 2,
        "successCondition": f"len(result) > 0 && result[0] <= {limit:.12g}",
        "failureCondition": f"len(result) > 0 && result[0] > {limit:.12g}",
        "provider": {"prometheus": {"address": "{{args.prometheus}}", "query": query}},
    }
