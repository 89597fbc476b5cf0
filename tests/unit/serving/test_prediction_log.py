"""The log of predictions: sampled, bounded, and read by a comparison."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from seatrial.errors import ServeError
from seatrial.serving.prediction_log import PredictionLog
from seatrial.serving.server import ServerOptions
from tests.unit.serving.stores import FakeStore, connect


def read(path: Path) -> list[dict[str, object]]:
    """The rows of a log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_are_logged_with_key_and_score(doubling: Path, tmp_path: Path) -> None:
    """Keys come from the request's parameters, its id, its header, or are made up, and never repeat by themselves."""
    log = PredictionLog(tmp_path / "live.jsonl", share=1)
    client = connect({"m": FakeStore(places={"1": doubling}, current="1")}, ServerOptions(log=log))
    tensor = {"name": "features", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}
    client.post("/v2/models/m/infer", {"inputs": [tensor], "parameters": {"keys": ["a", "b"]}})
    client.post("/v2/models/m/infer", {"id": "req", "inputs": [tensor]})
    client.post("/v1/models/m:predict", {"instances": [[5, 6]]}, x_request_id="header")
    for _ in range(2):
        client.post("/v1/models/m:predict", {"instances": [[7, 8]]})
    client.post("/v1/models/m:predict", {"instances": [["wrong", 8]]})
    log.close()
    rows = read(tmp_path / "live.jsonl")
    assert [row["key"] for row in rows[:5]] == ["a", "b", "req:0", "req:1", "header"]
    assert [row["score"] for row in rows] == [2, 6, 2, 6, 10, 14, 14]
    assert len({row["key"] for row in rows}) == 7
    assert {(row["model"], row["version"], row["role"]) for row in rows} == {("m", "1", "stable")}
    assert client.read_metrics()["model_log_rows_total,model=m,version=1"] == 7


def test_wrong_number_of_keys_is_refused(doubling: Path) -> None:
    """Keys that can't be those of the rows are a mistake, whether there is a log or not."""
    client = connect({"m": FakeStore(places={"1": doubling}, current="1")})
    tensor = {"name": "features", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}
    answer = client.post("/v2/models/m/infer", {"inputs": [tensor], "parameters": {"keys": ["a"]}})
    assert (answer.status_code, answer.json()["error"]) == (400, "parameters: there are 1 keys for 2 rows")
    answer = client.post("/v2/models/m/infer", {"inputs": [tensor], "parameters": {"keys": ["a", "b" * 257]}})
    assert (answer.status_code, "length <= 256" in answer.json()["error"]) == (400, True)


def fill(log: PredictionLog, rows: int) -> None:
    """Write rows with keys of their own, and end."""
    for start in range(0, rows, 100):
        keys = [str(number) for number in range(start, start + 100)]
        log.write(model="m", version="1", role="stable", keys=keys, values=np.full(100, 0.5))
    log.close()


def test_share_of_the_keys_is_logged(tmp_path: Path) -> None:
    """The sample has about its size, and the same keys are in it every time."""
    for name in ("one.jsonl", "other.jsonl"):
        fill(PredictionLog(tmp_path / name, share=0.1), 5000)
    one, other = ([row["key"] for row in read(tmp_path / name)] for name in ("one.jsonl", "other.jsonl"))
    assert one == other
    assert 400 < len(one) < 600


def test_log_is_bounded(tmp_path: Path) -> None:
    """Two files together stay below the size, and the newest rows are there."""
    log = PredictionLog(tmp_path / "live.jsonl", share=1, size=100_000)
    for number in range(40):
        log.write(model="m", version="1", role="stable", keys=[f"{number}-{i}" for i in range(50)], values=np.zeros(50))
        log.settle()
    log.close()
    files = sorted(tmp_path.iterdir())
    assert {file.name for file in files} <= {"live.jsonl", "live.1.jsonl"}
    assert 40_000 < sum(file.stat().st_size for file in files) < 120_000
    assert any(row["key"] == "39-49" for file in files for row in read(file))


def test_names_of_classes_are_told_as_predictions(tmp_path: Path) -> None:
    """What is no number is logged as what it is."""
    log = PredictionLog(tmp_path / "live.jsonl", share=1)
    log.write(model="m", version="1", role="stable", keys=["a"], values=np.array(["late"], dtype=np.object_))
    log.close()
    assert read(tmp_path / "live.jsonl")[0]["prediction"] == "late"


def test_place_that_cannot_be_written_is_an_error_at_the_start(tmp_path: Path) -> None:
    """A log that can't be written is told before the server listens."""
    with pytest.raises(ServeError, match="--log-predictions"):
        PredictionLog(tmp_path / "missing/live.jsonl", share=1)


def test_comparison_reads_the_log(tmp_path: Path) -> None:
    """Joined with what came true, the logged rows are predictions as `seatrial compare` reads them."""
    from seatrial.config.evaluations import Columns
    from seatrial.sources.predictions import read_predictions
    from seatrial.stats.names import Task

    fill(PredictionLog(tmp_path / "live.jsonl", share=1), 100)
    rows = [{**row, "label": int(str(row["key"])) % 2} for row in read(tmp_path / "live.jsonl")]
    (tmp_path / "judged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = Columns(key=("key",), label="label", score="score")
    found = read_predictions(tmp_path / "judged.jsonl", path="judged.jsonl", task=Task.BINARY, columns=columns)
    assert found.size == 100
