"""How far live inputs are from the profile of the release."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from seatrial.core.deployment import Answer
from seatrial.core.profile import Profile
from seatrial.core.routing import Route
from seatrial.errors import ServeError
from seatrial.profiling import build_profile, write_profile
from seatrial.serving.drift import DriftWatch, Reading, read_profile
from seatrial.serving.golden import check_model
from seatrial.serving.runtimes import OnnxRuntime, Tensor, load_model
from seatrial.stats.drift import Drift, bound_psi, compare_numbers, limit_psi
from tests.unit.serving.stores import FakeStore, connect, settle, write_model

NAMES = ("temp", "rare", "constant", "holes")
Table = npt.NDArray[np.float32]


def draw(rows: int, seed: int, *, moved: float = 0.0) -> Table:
    """Numbers, a category, a constant, and numbers of which some are missing."""
    random = np.random.default_rng(seed)
    holes = np.where(random.random(rows) < 0.1, np.nan, random.normal(size=rows))
    columns = [random.normal(size=rows) + moved, random.random(rows) < 0.05, np.full(rows, 0.1), holes]
    return np.column_stack(columns).astype(np.float32)


@pytest.fixture(scope="module")
def judged() -> Table:
    return draw(10_000, 1)


@pytest.fixture(scope="module")
def profile(judged: Table) -> Profile:
    return build_profile(names=NAMES, features=judged, scores=judged[:, 0])


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("size", [1, 7, 15])
def test_drift_is_the_psi_of_a_comparison(judged: Table, profile: Profile, size: int) -> None:
    """However the rows are split into requests, each column's PSI is that which a data diff tells of both tables."""
    live = draw(3_000, 2, moved=0.4)
    watch = DriftWatch(profile, NAMES)
    for start in range(0, len(live), size):
        part = live[start : start + size]
        watch.add(part, part[:, 0].astype(np.float64))
    reading = watch.read()
    assert reading.samples == 3_000
    expected = {name: compare_numbers(judged[:, i], live[:, i]) for i, name in enumerate(NAMES)}
    for name, drift in reading.features:
        found = expected[name]
        assert isinstance(found, Drift)
        assert drift == pytest.approx(found.psi)
    assert reading.features[0][0] == "temp"
    assert reading.score == pytest.approx(dict(reading.features)["temp"])


def test_a_constant_that_changes_is_drift(profile: Profile) -> None:
    """Up or down; a category that is gone or everywhere is, too."""
    for value in (0.0, 0.2):
        live = draw(15, 3)
        live[:, 2] = value
        live[:, 1] = 1
        watch = DriftWatch(profile, NAMES)
        watch.add(live, live[:, 0])
        drifts = dict(watch.read().features)
        assert drifts["constant"] > 5
        assert drifts["rare"] > 1
        assert drifts["temp"] < drifts["rare"]


@pytest.mark.parametrize("rows", [30, 300, 3000])
def test_chance_stays_below_the_noise(profile: Profile, rows: int) -> None:
    """Of 200 windows in which nothing changed, no more than 6 have a column above it."""
    above = 0
    for seed in range(200):
        live = draw(rows, 1000 + seed)
        watch = DriftWatch(profile, NAMES)
        watch.add(live[: rows // 2], live[: rows // 2, 0])
        watch.add(live[rows // 2 :], live[rows // 2 :, 0])
        reading = watch.read()
        assert reading.noise is not None
        above += reading.features[0][1] > reading.noise
    assert above <= 6


def test_the_noise_is_that_of_chi_square() -> None:
    """Beside scipy's quantile."""
    for bins, n, m in ((10, 50, 80_000), (19, 30, 500)):
        assert bound_psi(n, m, bins, level=0.95) == pytest.approx(limit_psi(n, m, bins), rel=0.01)


def test_the_window_slides_by_halves(profile: Profile) -> None:
    """Rows are told for half a window at least and a whole one at most, and none after a pause as long."""
    clock = Clock()
    watch = DriftWatch(profile, NAMES, window=100, clock=clock)
    told = []
    for now, rows in ((0, 10), (49, 12), (60, 15), (99, 0), (110, 0), (115, 14), (400, 0), (401, 5)):
        clock.now = 1000.0 + now
        watch.add(draw(rows, now), None) if rows else None
        told.append((now, watch.read().samples))
    assert told == [(0, 10), (49, 22), (60, 37), (99, 37), (110, 0), (115, 14), (400, 0), (401, 5)]


def test_numbers_of_any_size_are_counted(profile: Profile) -> None:
    """What no 32-bit float holds is beyond the outermost edge; a request of no rows, or of others, is none."""
    watch = DriftWatch(profile, NAMES)
    for rows in (12, 100):
        watch.add(np.full((rows, 4), [1e300, 1, -1e300, 0]), np.full(rows, 1e300))
    watch.add(np.empty((0, 4)), np.empty(0))
    watch.add(np.zeros((5, 3)), np.zeros(5))
    reading = watch.read()
    assert reading.samples == 12 + 13
    assert min(drift for name, drift in reading.features if name != "holes") > 1


def test_nothing_asked_is_no_drift(profile: Profile) -> None:
    """No rows, no number; the time passes all the same, to its end."""
    clock = Clock()
    watch = DriftWatch(profile, NAMES, window=100, clock=clock)
    assert watch.read() == Reading()
    for now, coverage in ((25, 0.5), (50, 1), (1000, 1)):
        clock.now = 1000.0 + now
        assert watch.read() == Reading(coverage=coverage)


@pytest.mark.parametrize(("rows", "counted"), [(15, 15), (16, 8), (100, 13), (1000, 125), (50_000, 6250)])
def test_a_part_of_a_large_request_is_counted(profile: Profile, rows: int, counted: int) -> None:
    """From both ends of it, evenly: half of it is other than the rest, and is told so."""
    watch = DriftWatch(profile, NAMES)
    live = draw(rows, 4)
    live[rows // 2 :, 2] = 9
    watch.add(live, live[:, 0])
    reading = watch.read()
    assert reading.samples == counted
    assert dict(reading.features)["constant"] > 2


def test_requests_of_several_threads_all_count(profile: Profile) -> None:
    """No row is lost while others read."""
    watch = DriftWatch(profile, NAMES)
    live = draw(1, 5)

    def ask() -> None:
        for number in range(1000):
            watch.add(live, live[:, 0])
            if number % 100 == 0:
                watch.read()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watch.read().samples == 4000


# -- in a server


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two features that doubles the first, judged on normal numbers."""
    place = write_model(tmp_path_factory.mktemp("profiled"))
    features = np.random.default_rng(7).normal(size=(5_000, 2))
    write_profile(place, names=("hour", "distance"), features=features, scores=2 * features[:, 0])
    return place


def test_the_server_tells_drift_of_every_version_that_has_callers(profiled: Path, doubling: Path) -> None:
    """Stable and canary each of their own requests, a shadow of none; a version without a profile tells nothing."""
    places = {"1": profiled, "2": profiled, "3": profiled, "4": doubling}
    route = Route(weights={"2": 50, "4": 0}, shadow="3")
    client = connect({"m": FakeStore(places=places, current="1", shares=route)})
    rows = np.random.default_rng(8).normal(size=(60, 5, 2))
    rows[:, :, 1] += 3
    for number, part in enumerate(rows.tolist()):
        assert client.infer(part, X_Route_Key=str(number)).status_code == 200
    settle(client)
    client.post("/v2/models/m/versions/3/infer", {"inputs": [tensor_of(rows[0].tolist())]})
    numbers = client.read_metrics()
    samples = {version: numbers.get(f"model_input_drift_samples,model=m,version={version}") for version in "1234"}
    assert samples["3"] == 0
    assert samples["4"] is None
    assert (samples["1"] or 0) + (samples["2"] or 0) == 300
    assert all(samples[version] for version in "12")
    for version in "12":
        of = f"model=m,version={version}"
        farthest = numbers[f"model_input_drift,feature=distance,{of}"]
        assert farthest == numbers[f"model_input_drift_max,{of}"] > 3
        noise = numbers[f"model_input_drift_noise,{of}"]
        assert numbers[f"model_input_drift,feature=hour,{of}"] < noise
        assert numbers[f"model_prediction_drift,{of}"] < noise
    assert not any("version=4" in name for name in numbers if "drift" in name)
    assert not any(
        "version=3" in name for name in numbers if "drift" in name and "samples" not in name and "coverage" not in name
    )


def tensor_of(rows: list[Any]) -> dict[str, Any]:
    """Rows of two features as the protocol writes them."""
    return {"name": "features", "shape": [len(rows), 2], "datatype": "FP32", "data": rows}


def test_a_new_version_begins_anew(profiled: Path) -> None:
    """What its predecessor was asked is none of its drift."""
    store = FakeStore(places={"1": profiled, "2": profiled}, current="1")
    client = connect({"m": store})
    client.infer([[9, 9]] * 12)
    assert client.read_metrics()["model_input_drift_samples,model=m,version=1"] == 12
    store.current = "2"
    client.infer([[0, 0]])
    numbers = client.read_metrics()
    assert numbers["model_input_drift_samples,model=m,version=2"] == 1
    assert not any("version=1" in name for name in numbers if "drift" in name)


def test_ten_features_are_told_of_many(tmp_path: Path) -> None:
    """The farthest; the labels stay few."""
    names = [f"x{number}" for number in range(40)]
    place = write_model(tmp_path, width=40, inputs=names)
    features = np.random.default_rng(9).normal(size=(2_000, 40))
    write_profile(place, names=names, features=features)
    client = connect({"m": FakeStore(places={"1": place}, current="1")})
    live = features[:400] + np.arange(40) / 20
    for part in np.split(live, 40):
        client.post("/v1/models/m:predict", {"instances": part.tolist()})
    numbers = client.read_metrics()
    told = {name.split("feature=")[1].split(",")[0] for name in numbers if name.startswith("model_input_drift,")}
    assert told == set(names[30:])
    assert not any(name.startswith("model_prediction_drift") for name in numbers)


def test_a_profile_that_does_not_fit_the_model_is_refused(tmp_path: Path) -> None:
    """By the server, and before that by a deployment, whose check names the feature."""
    place = write_model(tmp_path)
    write_profile(place, names=("hour", "weight"), features=[[1, 2], [3, 4]])
    with pytest.raises(ServeError, match="'weight' is none of the inputs"):
        read_profile(place, load_model(place))
    (ready,), proof = check_model(place)
    assert (ready.answer, proof) == (Answer.FAIL, None)
    assert "'weight' is none of the inputs" in ready.detail


def test_a_profile_of_what_is_no_table_is_refused(tmp_path: Path) -> None:
    """A model that takes pictures or texts has no columns to count."""
    place = write_model(tmp_path)
    write_profile(place, names=["hour"], features=[[1.0], [2.0]])
    model = load_model(place)
    for tensor in (
        Tensor(name="features", datatype="BYTES", shape=(-1, 2)),
        Tensor(name="features", datatype="FP32", shape=(-1, 9, 2)),
    ):
        other = replace(model, runtime=OnnxRuntime(session=None, inputs=(tensor,), outputs=()))
        with pytest.raises(ServeError, match="the model takes"):
            read_profile(place, other)


def test_a_part_of_the_inputs_may_be_profiled(tmp_path: Path) -> None:
    """In another order, too; the rest is not looked at."""
    place = write_model(tmp_path)
    write_profile(place, names=["distance"], features=[[1.0], [2.0]] * 50)
    client = connect({"m": FakeStore(places={"1": place}, current="1")})
    client.infer([[7, 1], [8, 2]] * 7)
    numbers = client.read_metrics()
    assert numbers["model_input_drift,feature=distance,model=m,version=1"] < 0.2
    assert numbers["model_input_drift_samples,model=m,version=1"] == 14
    assert not any("feature=hour" in name for name in numbers)
    assert json.loads((place / "profile.json").read_text())["features"][0]["name"] == "distance"
