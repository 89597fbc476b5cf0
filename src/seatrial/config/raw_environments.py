"""What a seatrial.yaml may say below `environments:`, as msgspec checks it and as its JSON Schema tells editors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from seatrial.config.registries import RawRegistry

Milliseconds = Annotated[float, Meta(description="A limit in milliseconds.", gt=0)]
Share = Annotated[int | float | str, Meta(description="A share: 0.01, or 1%.")]
Seconds = Annotated[float, Meta(description="Seconds.", gt=0, le=86_400)]
Requests = Annotated[int, Meta(description="Number of requests.", ge=1)]
Weight = Annotated[float, Meta(description="Percent of the requests.", gt=0, lt=100)]


LabelName = Annotated[str, Meta(description="Name of a label.", pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")]
_ADDRESS = "^(https?://.+)?$"
_VARIABLE = "^([A-Za-z_][A-Za-z0-9_]*)?$"


class RawLatency(Struct, forbid_unknown_fields=True):
    """Limits on how long a golden request may take."""

    p50_ms: Annotated[Milliseconds | None, Meta(description="Limit on the median, in milliseconds.")] = None
    p95_ms: Annotated[Milliseconds | None, Meta(description="Limit on the 95th percentile, in milliseconds.")] = None
    p99_ms: Annotated[Milliseconds | None, Meta(description="Limit on the 99th percentile, in milliseconds.")] = None
    requests: Annotated[int, Meta(description="How many golden requests are asked, one at a time.", ge=1)] = 200


class RawShadow(Struct, forbid_unknown_fields=True):
    """A limit on answers that differ from the live version's, while the new one is asked behind it."""

    max_mismatch: Annotated[Share, Meta(description="Largest share of differing answers: 0.01, or 1%.")]
    min_requests: Annotated[Requests, Meta(description="With fewer compared answers it is inconclusive.")] = 50
    seconds: Annotated[Seconds, Meta(description="How long it is asked, at most.")] = 60.0


class RawQuery(Struct, forbid_unknown_fields=True):
    """A PromQL expression with limits."""

    name: Annotated[str, Meta(description="What the check calls it.", min_length=1)]
    query: Annotated[
        str, Meta(description="PromQL with one value; $model, $version, $digest and $window are put in.", min_length=1)
    ]
    at_most: Annotated[float | None, Meta(description="Largest value.")] = None
    at_least: Annotated[float | None, Meta(description="Smallest value.")] = None


class RawPrometheus(Struct, forbid_unknown_fields=True):
    """Limits on the metrics of a version that answers requests."""

    url: Annotated[
        str,
        Meta(description="Address of a Prometheus; if absent, the server's own /metrics is read.", pattern=_ADDRESS),
    ] = ""
    token_env: Annotated[
        str, Meta(description="Name of the environment variable of a bearer token.", pattern=_VARIABLE)
    ] = ""
    labels: Annotated[
        dict[LabelName, str],
        Meta(description="Labels that tell the servers of this environment from others that are scraped, too."),
    ] = {}
    timeout: Annotated[Seconds, Meta(description="Seconds after which an unanswered query is given up.")] = 10.0
    window: Annotated[
        Seconds | None, Meta(description="Seconds that are looked back on; those of the canary if absent, else 60.")
    ] = None
    min_requests: Annotated[Requests, Meta(description="With fewer requests in the window it is inconclusive.")] = 50
    max_errors: Annotated[
        Share | None, Meta(description="Largest share of answers with a status of 5xx: 0.01, or 1%.")
    ] = None
    p95_ms: Annotated[Milliseconds | None, Meta(description="Limit on the 95th percentile of the time, in ms.")] = None
    queries: Annotated[tuple[RawQuery, ...], Meta(description="PromQL expressions with limits of your own.")] = ()


class RawChecks(Struct, forbid_unknown_fields=True):
    """What a model has to show beside its golden requests."""

    latency: Annotated[RawLatency | None, Meta(description="Time of a golden request.")] = None
    shadow: Annotated[RawShadow | None, Meta(description="Answers beside those of the live version.")] = None
    prometheus: Annotated[RawPrometheus | None, Meta(description="Metrics of the version while it answers.")] = None


class RawCanary(Struct, forbid_unknown_fields=True):
    """Shares of the requests that a new version gets before it gets all."""

    weights: Annotated[tuple[Weight, ...], Meta(description="Percents, growing: [5, 25].", min_length=1, max_length=20)]
    seconds: Annotated[Seconds, Meta(description="How long each share is kept before it is judged.")] = 60.0
    on_inconclusive: Annotated[
        Literal["undo", "go-on"], Meta(description="What is done where a share can't be judged.")
    ] = "undo"


class RawEnvironment(Struct, forbid_unknown_fields=True):
    """A place for models: `seatrial deploy NAME --environment ENVIRONMENT`."""

    target: Annotated[str, Meta(description="Kind of place, as for --target.", min_length=1)] = "local"
    to: Annotated[str, Meta(description="Directory or address, as for --to; a path is seen from this file.")] = ""
    address: Annotated[
        str, Meta(description="The server that answers from there, as for --address.", pattern=_ADDRESS)
    ] = ""
    keep: Annotated[int, Meta(description="Versions to go back to that are kept, as for --keep.", ge=0)] = 5
    settings: Annotated[dict[str, Any], Meta(description="Settings of the target.")] = {}
    verify_key: Annotated[
        str, Meta(description="Public key that a release must be signed for; a path is seen from this file.")
    ] = ""
    registries: Annotated[tuple[RawRegistry, ...], Meta(description="Where it is announced what went live.")] = ()
    checks: Annotated[RawChecks | None, Meta(description="What a model has to show.")] = None
    canary: Annotated[RawCanary | None, Meta(description="Shares of the requests on the way.")] = None
