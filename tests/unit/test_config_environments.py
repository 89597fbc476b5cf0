"""`environments:` in seatrial.yaml: every key is understood, each fault is one error with file, line and key."""

from __future__ import annotations

import pytest

from seatrial.config import parse_config
from seatrial.core.environment import (
    Canary,
    Checks,
    Doubt,
    Environment,
    LatencyLimits,
    QueryLimit,
    ShadowLimits,
    TrafficLimits,
)
from seatrial.errors import ConfigError

WHOLE = b"""\
version: 1
environments:
  staging:
  production:
    target: local
    to: /srv/models
    address: http://127.0.0.1:8080
    keep: 3
    settings: {region: north, replicas: [1, 2]}
    verify_key: keys/release.pub
    checks:
      latency: {p50_ms: 5, p95_ms: 50, p99_ms: 90, requests: 400}
      shadow: {max_mismatch: 2%, min_requests: 10, seconds: 30}
      prometheus:
        url: http://prometheus:9090/
        token_env: PROMETHEUS_TOKEN
        labels: {env: live}
        max_errors: 1%
        p95_ms: 200
        queries:
          - {name: shift, query: 'max(x{model="$model"})', at_most: 0.1, at_least: 0}
    canary: {weights: [5, 25], seconds: 120, on_inconclusive: go-on}
"""
HEAD = "version: 1\nenvironments:\n  live:\n    "


def test_an_environment_with_everything_is_understood() -> None:
    """Shares may be percents, the window of the metrics is a canary's time, and nothing said is the default."""
    staging, production = parse_config(WHOLE).environments
    assert staging == Environment(name="staging")
    assert production == Environment(
        name="production",
        to="/srv/models",
        address="http://127.0.0.1:8080",
        keep=3,
        settings={"region": "north", "replicas": [1, 2]},
        verify_key="keys/release.pub",
        checks=Checks(
            latency=LatencyLimits(p50_ms=5, p95_ms=50, p99_ms=90, requests=400),
            shadow=ShadowLimits(max_mismatch=0.02, min_requests=10, seconds=30),
            prometheus=TrafficLimits(
                url="http://prometheus:9090",
                token_env="PROMETHEUS_TOKEN",
                labels={"env": "live"},
                window=120,
                max_errors=0.01,
                p95_ms=200,
                queries=(QueryLimit(name="shift", query='max(x{model="$model"})', at_most=0.1, at_least=0),),
            ),
        ),
        canary=Canary(weights=(5, 25), seconds=120, on_inconclusive=Doubt.GO_ON),
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("adress: http://a", "4: environments.live has no key `adress`", "`address`"),
        ("address: ftp://a", "4: environments.live.address: is not of this form", "the server"),
        ("keep: -1", "4: environments.live.keep: expected", "versions to go back"),
        ("settings: 3", "4: environments.live.settings: must be a mapping", "target"),
        ("checks: {latncy: {}}", "4: environments.live.checks has no key `latncy`", "`latency`"),
        ("checks: {latency: {}}", "4: environments.live.checks.latency: demands nothing", "p95_ms"),
        ("checks: {latency: {p95_ms: 0}}", "4: environments.live.checks.latency.p95_ms: expected", "milliseconds"),
        ("checks: {shadow: {}}", "4: environments.live.checks.shadow needs `max_mismatch`", "share"),
        ("checks: {shadow: {max_mismatch: 2}}", "4: `max_mismatch` is more than the whole: 2", "1%"),
        ("checks: {shadow: {max_mismatch: x}}", "4: `max_mismatch` is not a number: x", "1%"),
        ("checks: {prometheus: {}}", "4: environments.live.checks.prometheus: demands nothing", "max_errors"),
        ("checks: {prometheus: {max_errors: -1%}}", "4: `max_errors` is a tolerance", ""),
        ("checks: {prometheus: {url: a, p95_ms: 1}}", "4: environments.live.checks.prometheus.url: is not", "address"),
        (
            "checks: {prometheus: {url: 'http://a', queries: [{name: a, query: b}]}}",
            "4: environments.live.checks.prometheus.queries.0: demands nothing",
            "at_most",
        ),
        (
            "checks: {prometheus: {queries: [{name: a, query: b, at_most: 1}]}}",
            "4: environments.live.checks.prometheus.queries: need a Prometheus",
            "url",
        ),
        (
            "checks: {prometheus: {p95_ms: 1, token_env: 'a b'}}",
            "4: environments.live.checks.prometheus.token_env: is not of this form",
            "environment variable",
        ),
        (
            "checks: {prometheus: {p95_ms: 1, labels: {'a-b': c}}}",
            "4: environments.live.checks.prometheus.labels: is not of this form",
            "",
        ),
        ("canary: {weights: [5]}", "4: environments.live.canary: nothing would judge it", "max_errors"),
        ("canary: {}", "4: environments.live.canary needs `weights`", "percents"),
        ("canary: {weights: [25, 5]}", "4: environments.live.canary.weights: each must be larger", "[5, 25]"),
        ("canary: {weights: [100]}", "4: environments.live.canary.weights.0: expected", "percent"),
        ("canary: {weights: []}", "4: environments.live.canary.weights: expected", "percents"),
        ("canary: {weights: [5], on_inconclusive: no}", "4: environments.live.canary.on_inconclusive", ""),
    ],
)
def test_a_fault_of_an_environment_names_file_line_and_key(text: str, message: str, hint: str) -> None:
    """One clear error each, and what to do next."""
    with pytest.raises(ConfigError) as caught:
        parse_config(f"{HEAD}{text}\n".encode())
    assert caught.value.message.startswith(f"seatrial.yaml:{message}"), caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("environments: []", "2: `environments` must map"),
        ("environments: false", "2: `environments` must map"),
        ("environments: {live: 3}", "2: environments.live: expected a mapping, got a whole number"),
        ('environments: {"a\\nb": {}}', "2: 'a\\nb' is no name of an environment"),
    ],
)
def test_environments_are_named_mappings(text: str, message: str) -> None:
    """Whatever else stands there is told with its line."""
    with pytest.raises(ConfigError) as caught:
        parse_config(f"version: 1\n{text}\n".encode())
    assert caught.value.message.startswith(f"seatrial.yaml:{message}"), caught.value.message
