"""8 metrics × 250 slices × 2 models out of two Parquet files, as `seatrial compare` makes them, timed step by step.

    python benchmarks/predictions_load.py FOLDER [STARTED]

`stats_vs_peers.py` writes FOLDER and starts this, so that the clock and the count of memory are this process's alone.
STARTED is the time at which it was started. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from seatrial.config.evaluations import Columns
from seatrial.sources.predictions import Cuts, pair_predictions, read_predictions
from seatrial.sources.samples import build_samples, cut_units, find_units
from seatrial.stats.estimates import estimate_slices
from seatrial.stats.names import Measure, Task

METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "log_loss", "brier")
SLICES = 250


def measure_load(folder: Path, started: float) -> Mapping[str, float]:
    """Both files to the estimates of all slices; seconds by step."""
    laps = [started, time.time()]
    columns, cuts = Columns(key=("id",), label="late", score="score"), Cuts(columns=("origin",))
    names = ("base.parquet", "head.parquet")
    sides = [read_predictions(folder / name, path=name, task=Task.BINARY, columns=columns, cuts=cuts) for name in names]
    laps.append(time.time())
    pairs = pair_predictions(*sides)
    del sides
    laps.append(time.time())
    base, head = build_samples((pairs.base, pairs.head), (0.5, 0.5))
    (cut,) = cut_units(find_units(pairs.head), [("origin",)], ())
    laps.append(time.time())
    measures = [Measure(name=name) for name in METRICS]
    answers = estimate_slices(base, head, measures, cut.codes, min_n=2)
    laps.append(time.time())
    if len(answers) != SLICES or not all(len(one) == len(measures) for one in answers.values()):
        raise SystemExit(f"{len(answers)} slices were estimated")
    steps = zip(("start", "read", "pair", "cut", "estimate"), laps[:-1], laps[1:], strict=True)
    return {step: after - before for step, before, after in steps}


def find_peak() -> float:
    """The most memory that this process ever held, in MB (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    steps = measure_load(Path(sys.argv[1]), float(sys.argv[2]) if sys.argv[2:] else time.time())
    print(json.dumps({"steps": steps, "processor": time.process_time(), "megabytes": find_peak()}))
