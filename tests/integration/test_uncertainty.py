"""Intervals from predictions, through the command line."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.integration.repositories import Answer, Scratch, run_seatrial

PROJECT = """\
stages:
  train:
    cmd: train
    params: [threshold]
    metrics:
    - metrics.json: {cache: false}
"""
POLICY = """\
version: 1
evaluations:
- predictions: p.csv
  metrics_file: metrics.json
  key: id
  label: y
  score: p
  threshold: {param: "params.yaml:threshold"}
"""
ROWS = 400


def table(noise: float) -> list[tuple[int, int, float]]:
    """Predictions that are better the less noise they have; labels are always the same."""
    draw = random.Random(1)
    truth = [draw.random() < 0.4 for _ in range(ROWS)]
    return [(i, int(y), min(0.99, max(0.01, 0.3 + 0.4 * y + draw.gauss(0, noise)))) for i, y in enumerate(truth)]


def files(rows: list[tuple[int, int, float]], threshold: float, *, told: float | None = None) -> dict[str, str]:
    """A revision: predictions, parameter, and the metrics that follow from them (or what is told instead)."""
    right = sum((p >= threshold) == bool(y) for _, y, p in rows) / len(rows)
    return {
        "dvc.yaml": PROJECT,
        "seatrial.yaml": POLICY,
        "params.yaml": f"threshold: {threshold}\n",
        "p.csv": "id,y,p\n" + "".join(f"{i},{y},{p!r}\n" for i, y, p in rows),
        "metrics.json": json.dumps({"accuracy": right if told is None else told}),
    }


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    scratch = Scratch.create(tmp_path / "project")
    scratch.commit(files(table(0.2), 0.5))
    return scratch


def compare(scratch: Scratch, change: dict[str, str]) -> Answer:
    scratch.write(change)
    return run_seatrial(scratch.directory, "compare", "--format", "json")


def test_a_metric_has_an_interval_around_its_change(scratch: Scratch) -> None:
    """It holds the difference, and says on how many samples it rests."""
    (metric,) = compare(scratch, files(table(0.5), 0.5)).facts["metrics"]
    interval = metric["interval"]
    assert interval["low"] < metric["absolute"] < interval["high"]
    assert (interval["n"], interval["level"]) == (ROWS, 0.95)


def test_the_threshold_is_read_on_each_side(scratch: Scratch) -> None:
    """The same scores under another threshold are another model."""
    (metric,) = compare(scratch, files(table(0.2), 0.65)).facts["metrics"]
    assert metric["interval"]["low"] < metric["absolute"] < 0


def test_a_metric_that_its_predictions_do_not_yield_has_no_interval(scratch: Scratch) -> None:
    """Somebody edited the file, or forgot to run the stage."""
    answer = compare(scratch, files(table(0.2), 0.5, told=0.99))
    assert answer.facts["metrics"][0]["interval"] is None
    assert "its value was not made from p.csv" in run_seatrial(scratch.directory, "compare").out


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("id,y,p\n1,1,nan\n", "p.csv"),
        ("id,y,q\n1,1,0.5\n", "no column 'p'"),
        ("id,y,p\n1,1,0.5\n1,1,0.5\n", "the key id is not unique"),
        ("id,y,p\n", "no rows"),
        ("id,y,p\na,1,0.5\n", "no row of the candidate has a key of the baseline"),
    ],
)
def test_unusable_predictions_are_named_and_nothing_is_made_up(scratch: Scratch, content: str, reason: str) -> None:
    """The comparison goes on without intervals, and says why."""
    scratch.write({"p.csv": content})
    answer = run_seatrial(scratch.directory, "compare")
    assert answer.code == 0
    assert "no intervals for metrics.json: " in answer.out
    assert reason in answer.out


def test_a_threshold_that_is_no_number_leaves_the_other_metrics_compared(scratch: Scratch) -> None:
    """No gate rests on the predictions, so that they are no reason to compare nothing."""
    scratch.write({"params.yaml": "threshold: high\n"})
    answer = run_seatrial(scratch.directory, "compare")
    assert answer.code == 0
    assert "no intervals for metrics.json: the threshold params.yaml:threshold is not a number" in answer.out


def test_fewer_samples_on_one_side_are_said(scratch: Scratch) -> None:
    """The interval is that of the samples in common."""
    scratch.write(files(table(0.2)[: ROWS // 2], 0.5))
    assert f"paired on the {ROWS // 2} samples that both sides hold" in run_seatrial(scratch.directory, "compare").out


def test_the_same_predictions_need_not_be_read(scratch: Scratch) -> None:
    """Equal digests in dvc.lock say that nothing differs, though the bytes are on neither side."""
    lock = (
        "schema: '2.0'\nstages:\n  train:\n    cmd: train\n    outs:\n    - path: p.csv\n      md5: " + "a" * 32 + "\n"
    )
    outs = PROJECT.replace("    metrics:\n", "    outs: [p.csv]\n    metrics:\n")
    before = files(table(0.2), 0.5) | {"dvc.yaml": outs, "dvc.lock": lock, "p.csv": ""}
    scratch.commit(before | {"seatrial.yaml": POLICY, ".gitignore": "/p.csv\n"})
    scratch.git("rm", "--quiet", "--cached", "p.csv")
    scratch.commit({"notes.md": "nothing that counts"})
    scratch.commit({"notes.md": "nothing again"})
    answer = run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD")
    assert "p.csv: the same on both sides" in answer.out
    assert "no interval" not in answer.out
