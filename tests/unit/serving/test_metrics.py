"""What `/metrics` tells, read by Prometheus's own parser."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seatrial.core.routing import Route
from seatrial.serving.metrics import PREDICTIONS, Distribution
from seatrial.serving.server import ServerOptions
from tests.unit.serving.stores import FakeStore, connect


def test_requests_are_counted_by_model_version_role_and_code(doubling: Path) -> None:
    """Every answer counts once, with its status; a model that is not there counts nowhere."""
    client = connect({"m": FakeStore(places={"1": doubling}, current="1")})
    for _ in range(3):
        client.infer([1, 2])
    client.infer(["a", 2])
    client.infer([1, 2], model="other")
    numbers = client.read_metrics()
    assert numbers["model_requests_total,code=200,model=m,role=stable,version=1"] == 3
    assert numbers["model_requests_total,code=400,model=m,role=stable,version=1"] == 1
    assert numbers["model_request_seconds_count,model=m,role=stable,version=1"] == 4
    assert 0 < numbers["model_request_seconds_sum,model=m,role=stable,version=1"] < 60
    assert numbers["model_request_seconds_bucket,le=+Inf,model=m,role=stable,version=1"] == 4
    assert not any("other" in name for name in numbers)


def test_models_are_told_with_digest_and_commit(doubling: Path) -> None:
    """`model_info` is 1 for every loaded version, before anybody asked it."""
    store = FakeStore(places={"1": doubling, "2": doubling}, current="1", shares=Route(weights={"2": 0}))
    client = connect({"m": store})
    numbers = client.read_metrics()
    told = [name for name, value in numbers.items() if name.startswith("model_info") and value == 1]
    assert [name.partition(",digest")[0] for name in sorted(told)] == ["model_info,commit=5601846"] * 2
    assert all("model=m" in name and "digest=sha256:" in name for name in told)


def test_predictions_are_told_as_a_histogram(doubling: Path) -> None:
    """The predicted values of single rows and of large batches land in the same buckets."""
    client = connect({"m": FakeStore(places={"1": doubling}, current="1")})
    client.infer([0.1, 9])
    client.infer([[0.3, 9]] * 40)
    numbers = client.read_metrics()
    bucket = "model_prediction_bucket,le={},model=m,role=stable,version=1".format
    assert (numbers[bucket("0.1")], numbers[bucket("0.3")], numbers[bucket("0.6")]) == (0, 1, 1)
    assert numbers[bucket("0.7")] == numbers[bucket("+Inf")] == 41
    np.testing.assert_allclose(numbers["model_prediction_sum,model=m,role=stable,version=1"], 0.2 + 40 * 0.6, rtol=1e-6)


def test_values_on_a_bound_are_counted_alike_one_by_one_and_together() -> None:
    """A value on a bucket's bound belongs to the bucket, as Prometheus defines it."""
    values = np.array([*PREDICTIONS, -5.0, 20_000.0, 0.55])
    one, other = (Distribution("x", "", ("model", "version"), PREDICTIONS) for _ in range(2))
    for value in values:
        one.add(("m", "1"), float(value))
    other.add_all(("m", "1"), values)
    samples = [[(s.name, s.labels, s.value) for s in d.collect(lambda _: True).samples] for d in (one, other)]
    assert samples[0] == samples[1]


def test_labels_are_bounded(doubling: Path) -> None:
    """Of a hundred versions, the series of the last ones are kept."""
    store = FakeStore(places={str(number): doubling for number in range(1, 101)})
    client = connect({"m": store})
    for number in range(1, 101):
        store.current = str(number)
        client.infer([1, 2])
    names = [name for name in client.read_metrics() if name.startswith("model_requests_total")]
    assert len(names) == 9
    assert any("version=100" in name for name in names)


def test_deployments_are_told_by_outcome(doubling: Path) -> None:
    """The log of deployments is counted by environment and outcome."""
    options = ServerOptions(count_deployments=lambda: {("production", "live"): 3, ("production", "refused"): 1})
    numbers = connect({"m": FakeStore(places={"1": doubling}, current="1")}, options).read_metrics()
    assert numbers["model_deploy_total,env=production,outcome=live"] == 3
    assert numbers["model_deploy_total,env=production,outcome=refused"] == 1


def test_openmetrics_is_spoken_to_those_who_ask(doubling: Path) -> None:
    """The format follows the Accept header, and the answer carries the digest as all do."""
    client = connect({"m": FakeStore(places={"1": doubling}, current="1")})
    client.infer([1, 2])
    plain, modern = client.get("/metrics"), client.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert plain.headers["content-type"].startswith("text/plain")
    assert modern.headers["content-type"].startswith("application/openmetrics-text")
    assert modern.text.endswith("# EOF\n")
    assert plain.headers["X-Model-Digest"]
