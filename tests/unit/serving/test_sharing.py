"""Versions that share the requests: canaries, shadows, and those that leave."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from seatrial.core.routing import Route, choose_version
from seatrial.errors import ReleaseError
from seatrial.serving.metrics import ServerMetrics
from seatrial.serving.routefile import RouteFile
from seatrial.serving.served import Role, State
from seatrial.serving.service import Ask, Service, Wire
from seatrial.serving.shadow import agree
from tests.unit.serving.stores import FakeStore, connect, load, settle, write_model


@pytest.fixture
def store(doubling: Path, tripling: Path) -> FakeStore:
    """Version 1 doubles and is live, version 2 triples."""
    return FakeStore(places={"1": doubling, "2": tripling}, current="1")


def test_canary_answers_its_share_and_keeps_its_callers(store: FakeStore) -> None:
    """A caller is answered by one version all the time, and a fifth of the callers by the canary."""
    store.shares = Route(weights={"2": 20})
    client = connect({"m": store})
    for name in map(str, range(50)):
        expected = choose_version(store.shares, name.encode()) or "1"
        for _ in range(2):
            answer = client.infer([1, 2], x_route_key=name).json()
            assert answer["model_version"] == expected
            assert answer["outputs"][0]["data"] == ([3, 6] if expected == "2" else [2, 4])
    numbers = client.read_metrics()
    requests = {
        role: numbers[f"model_requests_total,code=200,model=m,role={role},version={version}"]
        for role, version in (("stable", "1"), ("canary", "2"))
    }
    assert sum(requests.values()) == 100
    assert 0 < requests["canary"] < 50


def test_equal_bodies_are_answered_by_one_version(store: FakeStore) -> None:
    """Without a key the body decides, so that a repeated request gets the answer again."""
    store.shares = Route(weights={"2": 50})
    client = connect({"m": store})
    answers = [[client.infer([1, row]).json()["model_version"] for row in range(30)] for _ in range(2)]
    assert answers[0] == answers[1]
    assert set(answers[0]) == {"1", "2"}


def test_version_without_weight_answers_only_by_its_number(store: FakeStore) -> None:
    """A weight of 0 is a private address: loaded, asked by number or label, and no share."""
    store.shares = Route(weights={"2": 0})
    client = connect({"m": store})
    assert {client.infer([1, row]).json()["model_version"] for row in range(20)} == {"1"}
    for which in ("/versions/2", "/labels/canary"):
        assert client.post(f"/v1/models/m{which}:predict", {"instances": [[1, 2]]}).json() == {"predictions": [[3, 6]]}
    described = client.get("/v2/models/m/versions/2").json()
    assert (described["versions"], described["parameters"]["role"]) == (["1", "2"], "canary")
    assert client.get("/v2/models/m/versions/2").headers["X-Model-Digest"].endswith("2")


def test_canary_that_cannot_be_loaded_leaves_its_share_to_the_live_version(store: FakeStore) -> None:
    """No caller suffers from a canary that is not there; readiness warns, and its address says why."""
    store.shares = Route(weights={"7": 100})
    client = connect({"m": store})
    assert client.infer([1, 2]).json()["model_version"] == "1"
    ready = client.get("/v2/health/ready")
    assert (ready.status_code, ready.json()["warnings"]) == (200, {"m": {"version 7": "version 7 was altered"}})
    missing = client.get("/v2/models/m/versions/7")
    assert (missing.status_code, missing.json()["error"]) == (404, "version 7 is not served: version 7 was altered")


def test_promoted_canary_is_not_loaded_again(store: FakeStore) -> None:
    """Promoting a canary changes its role, not the model that is in memory."""
    store.shares = Route(weights={"2": 10})
    client = connect({"m": store})
    client.infer([1, 2])
    assert store.opened == 2
    store.current, store.shares = "2", Route()
    assert client.infer([1, 2]).json()["model_version"] == "2"
    assert store.opened == 2


def test_shadow_sees_what_others_ask_and_answers_nobody(store: FakeStore) -> None:
    """The shadow's answers are compared and counted, and never sent."""
    store.shares = Route(shadow="2")
    client = connect({"m": store})
    for row in range(1, 6):
        assert client.infer([row, row]).json()["outputs"][0]["data"] == [2 * row, 2 * row]
    client.infer([0, 0])
    settle(client)
    numbers = client.read_metrics()
    assert numbers["model_shadow_compared_total,model=m,version=2"] == 6
    assert numbers["model_shadow_mismatch_total,model=m,version=2"] == 5
    assert numbers["model_requests_total,code=200,model=m,role=shadow,version=2"] == 6
    assert numbers["model_requests_total,code=200,model=m,role=stable,version=1"] == 6


def test_canary_may_shadow_the_rest(store: FakeStore) -> None:
    """A version with a share that also shadows is asked once per request: as a canary, or behind the live version."""
    store.shares = Route(weights={"2": 50}, shadow="2")
    client = connect({"m": store})
    for name in range(20):
        client.infer([1, 2], x_route_key=str(name))
    settle(client)
    numbers = client.read_metrics()
    canary = numbers["model_requests_total,code=200,model=m,role=canary,version=2"]
    assert 0 < canary < 20
    assert numbers["model_requests_total,code=200,model=m,role=shadow,version=2"] == 20 - canary
    assert client.get("/v2/models/m/versions/2").json()["parameters"]["role"] == "canary"


def test_shadow_that_fails_is_a_mismatch_and_no_one_elses_problem(store: FakeStore, tmp_path: Path) -> None:
    """A shadow that takes other inputs refuses what is asked; the callers do not notice."""
    store.places["2"] = write_model(tmp_path / "wide", width=3, inputs=[])
    store.shares = Route(shadow="2")
    client = connect({"m": store})
    assert client.infer([1, 2]).status_code == 200
    settle(client)
    numbers = client.read_metrics()
    assert numbers["model_shadow_mismatch_total,model=m,version=2"] == 1
    assert numbers["model_requests_total,code=400,model=m,role=shadow,version=2"] == 1


def test_slow_shadow_drops_and_never_blocks(store: FakeStore) -> None:
    """What the shadow has no time for is dropped and counted; the queue is bounded."""
    store.shares = Route(shadow="2")
    live = load(store)
    service = Service(ServerMetrics(live.models))
    shadow = live.model.arrangement.loaded["2"]
    begun, go_on = threading.Event(), threading.Event()
    run = shadow.run

    def wait(*arguments: object) -> object:
        begun.set()
        go_on.wait(30)
        return run(*arguments)  # type: ignore[arg-type]

    shadow.run = wait  # type: ignore[method-assign, assignment]
    ask = Ask(model="m", wire=Wire.PREDICT, body=b'{"instances": [[1, 2]]}')
    assert service.answer(live.model, ask).status == 200
    assert begun.wait(30)
    for _ in range(300):
        assert service.answer(live.model, ask).status == 200
    go_on.set()
    service.shadow.settle()
    told = service.metrics.render("")[0].decode()
    assert 'model_shadow_compared_total{model="m",version="2"} 257.0' in told
    assert 'model_shadow_dropped_total{model="m",version="2"} 44.0' in told


@pytest.mark.parametrize(
    ("one", "other", "threshold", "same"),
    [
        ([0.2, 0.7], [0.2, 0.70001], None, True),
        ([0.2, 0.7], [0.2, 0.71], None, False),
        ([0.2, 0.7], [0.4, 0.9], 0.5, True),
        ([0.2, 0.7], [0.6, 0.9], 0.5, False),
        ([0.2], [0.2, 0.7], None, False),
        ([0.2], [float("nan")], None, False),
        ([0.7], [float("nan")], 0.5, False),
        (["a", "b"], ["a", "b"], None, True),
        (["a", "b"], ["a", "c"], None, False),
    ],
)
def test_what_counts_as_the_same(one: list[object], other: list[object], threshold: float | None, same: bool) -> None:
    """Decisions are compared where there is a threshold, else values up to noise; NaN is like nothing."""
    assert agree(np.array(one), np.array(other), threshold) is same


def test_version_that_left_answers_its_last_request(store: FakeStore) -> None:
    """A version is unloaded after its last request, not before and not much later."""
    live = load(store).model
    served, role = live.take(bytes)
    assert role is Role.STABLE
    store.current = "2"
    live.follow()
    assert [(state.version, state.state) for state in live.list_states()] == [
        ("2", State.AVAILABLE),
        ("1", State.UNLOADING),
    ]
    (answer,) = served.run({"features": np.ones((1, 2), dtype=np.float32)}, ("sum",))
    assert answer.tolist() == [[2, 2]]
    served.end()
    assert served.state is State.END
    assert not served.begin()
    with pytest.raises(AssertionError, match="asked without begin"):
        served.run({}, ("sum",))


def test_old_version_answers_while_a_slow_one_is_loaded(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading holds a request up for a moment only; the model is not ready until it is what the pointer names."""
    from seatrial.serving import server

    monkeypatch.setattr(server, "_PATIENCE", 0.05)
    client = connect({"m": store})
    client.infer([1, 2])
    store.gate = threading.Event()
    store.current = "2"
    assert client.infer([1, 2]).json()["model_version"] == "1"
    ready = client.get("/v2/models/m/ready")
    assert (ready.status_code, ready.json()["problem"]) == (503, "another version is being loaded")
    assert client.get("/v2/health/ready").status_code == 200
    states = {state["version"]: state["state"] for state in client.get("/v1/models/m").json()["model_version_status"]}
    assert states == {"1": "AVAILABLE", "2": "LOADING"}
    store.gate.set()
    monkeypatch.setattr(server, "_PATIENCE", 30.0)
    assert client.infer([1, 2]).json()["model_version"] == "2"


def test_route_file_is_read_again_when_it_changed(tmp_path: Path) -> None:
    """A rename puts a new route into force; a bad one is an error until it is mended or gone."""
    path = tmp_path / "route.json"
    file = RouteFile(path)
    assert file.read() == Route()
    for text, route in (('{"weights": {"2": 5}}', Route(weights={"2": 5})), ('{"shadow": "2"}', Route(shadow="2"))):
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").replace(path)
        assert file.read() == route
        assert file.read() is file.read()
    path.write_text('{"weights": {"2": 500}}')
    for _ in range(2):
        with pytest.raises(ReleaseError, match="the weight of version 2 is 500"):
            file.read()
    path.unlink()
    assert file.read() == Route()


def test_bad_route_keeps_the_one_before(store: FakeStore) -> None:
    """A route that can't be meant changes nothing but the warnings."""
    store.shares = Route(weights={"2": 100})
    live = load(store).model
    store.route_problem = "route.json: not a route"
    live.follow()
    assert live.arrangement.route == Route(weights={"2": 100})
    assert live.warnings == {"route.json": "route.json: not a route"}
    assert live.problem == ""
