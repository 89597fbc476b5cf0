"""An environment: where models are deployed to, and what a new one has to show before it answers everybody."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from seatrial.core.registry import RegistrySettings

KEPT = 5


class LatencyLimits(Struct, frozen=True, kw_only=True):
    """How long one golden request may take: percentiles of `requests` of them, in milliseconds."""

    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    requests: int = 200


class ShadowLimits(Struct, frozen=True, kw_only=True):
    """What share of the answers may differ from the live version's, of `min_requests` or more in `seconds`."""

    max_mismatch: float
    min_requests: int = 50
    seconds: float = 60.0


class QueryLimit(Struct, frozen=True, kw_only=True):
    """A PromQL expression, and the values that it may have; `$model`, `$version`, `$digest`, `$window` are put in.

    `guards`: another value fails nothing, but with it nothing else can be judged.
    """

    name: str
    query: str
    at_most: float | None = None
    at_least: float | None = None
    guards: bool = False


class TrafficLimits(Struct, frozen=True, kw_only=True):
    """What the metrics of a version that answers requests may be, over the last `window` seconds.

    They are read from the Prometheus at `url`, or without one from the server's own `/metrics`. `token_env` names the
    environment variable of a bearer token. `labels` tell the series of this environment from those of others, whose
    versions have the same numbers. `max_errors` is a share of the answers (5xx), `p95_ms` in milliseconds.
    """

    url: str = ""
    token_env: str = ""
    labels: Mapping[str, str] = MappingProxyType({})
    timeout: float = 10.0
    window: float = 60.0
    min_requests: int = 50
    max_errors: float | None = None
    p95_ms: float | None = None
    queries: tuple[QueryLimit, ...] = ()


class Checks(Struct, frozen=True, kw_only=True):
    """What a model has to show beside its golden requests."""

    latency: LatencyLimits | None = None
    shadow: ShadowLimits | None = None
    prometheus: TrafficLimits | None = None


class Doubt(str, Enum):
    """What is done where a canary can't be judged."""

    UNDO = "undo"
    GO_ON = "go-on"


class Canary(Struct, frozen=True, kw_only=True):
    """Shares of the requests, in percent and growing, that a new version answers for `seconds` each."""

    weights: tuple[float, ...]
    seconds: float = 60.0
    on_inconclusive: Doubt = Doubt.UNDO


class Environment(Struct, frozen=True, kw_only=True):
    """A place for models, by its name in seatrial.yaml; without a name, the one that a command line tells.

    `to` is a directory or an address, `target` the kind of place, `address` the server that answers from there, `keep`
    how many versions to go back to stay. `settings` are the target's own. `verify_key` is the path of a file
    of public keys, or their text: whatever is not signed with one of them is refused.
    `allow_pickles`: those that a release names are loaded to ask the model.
    """

    name: str = ""
    target: str = "local"
    to: str = ""
    address: str = ""
    keep: int = KEPT
    settings: Mapping[str, Any] = MappingProxyType({})
    verify_key: str = ""
    allow_pickles: bool = False
    registries: tuple[RegistrySettings, ...] = ()
    checks: Checks = Checks()
    canary: Canary | None = None
