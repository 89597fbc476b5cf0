"""The statistics beside their peers, and under load.

    python benchmarks/stats_vs_peers.py                                     both parts, about 15 minutes
    python benchmarks/stats_vs_peers.py --quick                             up to 100,000 and 1,000,000 rows
    python benchmarks/stats_vs_peers.py --plot docs/images/stats-growth.svg

Part one: the difference of one metric between two models on the same rows, with its 95 % interval. The peers draw the
rows anew 1,000 times: a loop around scikit-learn, `scipy.stats.bootstrap` (BCa, which also leaves out each row once),
and Fairlearn's `MetricFrame` (whose intervals are of one model, so that two of them are made). What would take longer
than --seconds is extrapolated from the resamples that fit: their cost does not depend on how many there are. The table
says where. Seconds are the processor's. The benchmark stops unless the difference is that of scikit-learn.

Part two: 8 metrics × 250 slices × 2 models, out of two Parquet files whose rows are in different orders: read, checked,
joined by key, cut and estimated as `seatrial compare` does it, in a process of its own that is held to one core.
Seconds are from the start of Python, on the clock and on the processor; memory is the peak that Linux counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

# One thread for all, before numpy is loaded: threads of a matrix library that wait for each other count as work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import polars as pl
from fairlearn.metrics import MetricFrame
from numpy.typing import NDArray
from scipy.stats import bootstrap
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, root_mean_squared_error

sys.path.insert(0, str(Path(__file__).parent))
from drawing import BLUE, GREY, ORANGE, Panel, Scale, draw_picture, write
from predictions_load import METRICS, SLICES
from progress import tell

from seatrial.stats.binary import BinarySample
from seatrial.stats.estimates import estimate
from seatrial.stats.names import Measure
from seatrial.stats.paired import Estimate
from seatrial.stats.regression import RegressionSample

Floats = NDArray[np.float64]
_RESAMPLES = 1_000
_SIZES = (10_000, 100_000, 1_000_000)
_LOADS = (10_000, 100_000, 1_000_000, 3_000_000, 10_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Labels (n,) and the scores (n,) of two models."""

    label: NDArray[np.bool_]
    base: Floats
    head: Floats

    @classmethod
    def make(cls, n: int) -> Data:
        """Half of the rows positive, both models good, the candidate a little better."""
        random = np.random.default_rng(n)
        cause = random.standard_normal(n)
        label = cause + random.standard_normal(n) > 0
        base, head = (1 / (1 + np.exp(-cause - own * random.standard_normal(n))) for own in (0.60, 0.55))
        return cls(label=label, base=base, head=head)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One metric: ours by name, theirs as a function of labels and scores; `across` takes many resamples at once."""

    name: str
    regression: bool
    metric: Callable[[Any, Any], float]
    across: Callable[[Any, Any, Any], Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Seconds, of which so many resamples were run; fewer than wanted are extrapolated."""

    seconds: float
    run: int
    wanted: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both parts, and draw the growth where that is asked for."""
    options = _parse(arguments)
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}\n")
    if options.part != "load":
        _race(_SIZES[:2] if options.quick else _SIZES, options.seconds)
    if options.part != "peers":
        points = _measure_loads(_LOADS[:3] if options.quick else _LOADS)
        if options.plot:
            options.plot.write_text(_draw(points), encoding="utf-8")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--part", choices=("peers", "load", "both"), default="both", help="one part alone")
    parser.add_argument("--quick", action="store_true", help="without the largest sizes")
    parser.add_argument("--seconds", type=float, default=5, metavar="S", help="the most for one peer and metric [5]")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the growth into an SVG")
    return parser.parse_args(arguments)


def _list_contests() -> tuple[Contest, ...]:
    def f1_across(label: Any, score: Any, axis: Any) -> Any:
        decided = score >= 0.5
        return 2 * (label & decided).sum(axis=axis) / (label.sum(axis=axis) + decided.sum(axis=axis))

    def rmse_across(label: Any, score: Any, axis: Any) -> Any:
        return np.sqrt(((label - score) ** 2).mean(axis=axis))

    return (
        Contest(name="roc_auc", regression=False, metric=roc_auc_score),
        Contest(name="average_precision", regression=False, metric=average_precision_score),
        Contest(name="f1", regression=False, metric=lambda y, s: f1_score(y, s >= 0.5), across=f1_across),
        Contest(name="rmse", regression=True, metric=root_mean_squared_error, across=rmse_across),
    )


def _race(sizes: Iterable[int], budget: float) -> None:
    print("| metric | rows | seatrial s | scikit-learn loop s | scipy BCa s | Fairlearn s | fastest peer / seatrial |")
    print("|:--|--:|--:|--:|--:|--:|--:|")
    for contest in _list_contests():
        for n in sizes:
            data = Data.make(n)
            tell(f"{contest.name}, {n:,} rows ...")
            ours = _time_ours(contest, data)
            peers = [_time_loop(contest, data, budget), _time_scipy(contest, data, budget)]
            peers.append(_time_fairlearn(contest, data, budget))
            tell("")
            ratio = min(one.seconds for one in peers) / ours
            cells = " | ".join(_spell(one) for one in peers)
            print(f"| {contest.name} | {n:,} | {ours:.4f} | {cells} | {ratio:,.0f} |", flush=True)
    print(
        f"\n~: extrapolated from as many of {_RESAMPLES:,} resamples as fit into {budget:g} s (the number in brackets)."
    )
    print("BCa evaluates the metric once more for each row. Ours is the fastest of five runs, which need no resamples.")
    _check_extrapolation()


def _spell(timed: Timed) -> str:
    if timed.run >= timed.wanted:
        return f"{timed.seconds:,.1f}"
    seconds = timed.seconds
    for unit, length, most in (("s", 1, 600), ("min", 60, 7200), ("h", 3600, 2e5)):
        if seconds < most:
            return f"~{seconds / length:,.0f} {unit} ({timed.run:,})"
    return f"~{seconds / 86400:,.0f} days ({timed.run:,})"


def _time_ours(contest: Contest, data: Data) -> float:
    """From bare arrays to the interval; SystemExit unless the difference is that of scikit-learn."""
    fastest = np.inf
    for _ in range(5):
        started = time.process_time()
        answer = _estimate(contest, data)
        fastest = min(fastest, time.process_time() - started)
    theirs = contest.metric(data.label, data.head) - contest.metric(data.label, data.base)
    if not np.isclose(answer.delta, theirs, rtol=1e-7, atol=1e-12):
        raise SystemExit(f"{contest.name}: seatrial says {answer.delta}, scikit-learn {theirs}")
    return float(fastest)


def _estimate(contest: Contest, data: Data) -> Estimate:
    kind: Any = RegressionSample if contest.regression else BinarySample
    base, head = (kind.of(data.label, score) for score in (data.base, data.head))
    measure = Measure(name=contest.name)
    answer = estimate(base, head, [measure])[measure]
    if not isinstance(answer, Estimate):
        raise SystemExit(f"{contest.name}: {answer.reason}")
    return answer


def _extrapolate(run: Callable[[int], object], wanted: int, budget: float) -> Timed:
    """Time `run(count)`: as many as are wanted, or as fit into the budget, and the rest by what each adds to two.

    Where two alone take longer than the budget, they are all that is run.
    """
    first = _time(run, 2)  # it also warms what is compiled or imported on first use
    if first > budget:
        return Timed(seconds=first / 2 * wanted, run=2, wanted=wanted)
    few = _time(run, 2)
    count = min(wanted, max(int(2 * budget / few), 10))
    whole = _time(run, count)
    each = max(whole - few, 0.0) / (count - 2)
    seconds = whole if count >= wanted else few + each * (wanted - 2)
    return Timed(seconds=seconds, run=count, wanted=wanted)


def _time(run: Callable[[int], object], count: int) -> float:
    """Processor seconds: all of this is one thread that computes, and the clock also counts what others do."""
    started = time.process_time()
    run(count)
    return time.process_time() - started


def _time_loop(contest: Contest, data: Data, budget: float) -> Timed:
    random = np.random.default_rng(0)

    def run(count: int) -> Floats:
        differences = np.empty(count)
        for at in range(count):
            rows = random.integers(0, data.label.size, data.label.size)
            label = data.label[rows]
            differences[at] = contest.metric(label, data.head[rows]) - contest.metric(label, data.base[rows])
        return np.quantile(differences, [0.025, 0.975])

    return _extrapolate(run, _RESAMPLES, budget)


def _time_scipy(contest: Contest, data: Data, budget: float) -> Timed:
    """BCa evaluates the statistic for each resample and for each row left out, all at the same cost."""
    wanted = _RESAMPLES + data.label.size
    return _extrapolate(partial(_bootstrap, contest, data, "percentile"), wanted, budget)


def _bootstrap(contest: Contest, data: Data, method: str, resamples: int) -> Any:
    across = contest.across
    statistic: Callable[..., Any]
    if across is None:

        def statistic(label: Any, base: Any, head: Any) -> float:
            return contest.metric(label, head) - contest.metric(label, base)
    else:

        def statistic(label: Any, base: Any, head: Any, axis: int = -1) -> Any:
            return across(label, head, axis) - across(label, base, axis)

    return bootstrap(
        (data.label, data.base, data.head),
        statistic,
        paired=True,
        vectorized=across is not None,
        n_resamples=resamples,
        # So many resamples are held at a time: a few million rows.
        batch=max(2_000_000 // data.label.size, 1),
        method=method,
        rng=np.random.default_rng(0),
    )


def _time_fairlearn(contest: Contest, data: Data, budget: float) -> Timed:
    everybody = np.zeros(data.label.size, dtype=np.int8)

    def run(count: int) -> None:
        for score in (data.base, data.head):
            MetricFrame(
                metrics=contest.metric,
                y_true=data.label,
                y_pred=score,
                sensitive_features=everybody,
                n_boot=count,
                ci_quantiles=[0.025, 0.975],
                random_state=0,
            )

    return _extrapolate(run, _RESAMPLES, budget)


def _check_extrapolation() -> None:
    """What BCa really takes at a size that it can be waited for, beside what is extrapolated."""
    n = 2_000
    data = Data.make(n)
    print(f"\nWith {n:,} rows, BCa in full:\n")
    print("| metric | took s | extrapolated s | BCa | seatrial |\n|:--|--:|--:|:--|:--|")
    for contest in _list_contests():
        _bootstrap(contest, data, "BCa", 10)
        started = time.process_time()
        found = _bootstrap(contest, data, "BCa", _RESAMPLES).confidence_interval
        real = time.process_time() - started
        guess = _extrapolate(partial(_bootstrap, contest, data, "percentile"), _RESAMPLES + n, real / 3)
        ours = _estimate(contest, data)
        intervals = " | ".join(
            f"{low:+.4f}…{high:+.4f}" for low, high in ((found.low, found.high), (ours.low, ours.high))
        )
        print(f"| {contest.name} | {real:.2f} | {guess.seconds:.2f} | {intervals} |", flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What so many rows cost."""

    rows: int
    seconds: float
    processor: float
    megabytes: float
    steps: Mapping[str, float]


def _measure_loads(sizes: Iterable[int]) -> list[Load]:
    print(f"\n{len(METRICS)} metrics × {SLICES} slices × 2 models from two Parquet files, on one core\n")
    print(
        "| rows | seconds | CPU s | CPU µs per row | peak MB | start | read | pair | cut | estimate |\n|" + "--:|" * 10
    )
    loads = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            tell(f"writing {rows:,} rows ...")
            write_files(Path(scratch), rows)
            tell(f"{rows:,} rows ...")
            load = min(
                (_run_child(Path(scratch), rows) for _ in range(1 if rows > 3e6 else 3)), key=lambda one: one.processor
            )
        tell("")
        loads.append(load)
        steps = " | ".join(f"{seconds:.2f}" for seconds in load.steps.values())
        each = load.processor / rows * 1e6
        print(
            f"| {rows:,} | {load.seconds:.2f} | {load.processor:.2f} | {each:.2f} | {load.megabytes:,.0f} | {steps} |",
            flush=True,
        )
    return loads


def write_files(folder: Path, rows: int) -> None:
    """Two Parquet files of the same keys in different orders, each with a model's scores."""
    random = np.random.default_rng(rows)
    key = random.permutation(3 * rows)[:rows]
    cause = random.standard_normal(rows)
    label = (cause + random.standard_normal(rows) > 0.5).astype(np.int8)
    names = np.array([f"origin{number:03}" for number in range(SLICES)])
    origin = random.integers(0, SLICES, rows)
    for side, own in (("base", 0.60), ("head", 0.58)):
        score = 1 / (1 + np.exp(-cause - own * random.standard_normal(rows)))
        order = random.permutation(rows)
        columns = {"id": key[order], "late": label[order], "score": score[order], "origin": names[origin[order]]}
        pl.DataFrame(columns).write_parquet(folder / f"{side}.parquet")


def _run_child(folder: Path, rows: int) -> Load:
    """One run in a process that has one core, one thread, and the memory count to itself."""
    core = min(os.sched_getaffinity(0))
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    script = str(Path(__file__).with_name("predictions_load.py"))
    started = time.time()
    done = subprocess.run(
        ["taskset", "--cpu-list", str(core), sys.executable, script, str(folder), repr(started)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    seconds = time.time() - started
    told = json.loads(done.stdout)
    return Load(rows=rows, seconds=seconds, **told)


def _draw(loads: Sequence[Load]) -> str:
    """Seconds and memory by rows, all logarithmic; the dashed lines are strictly linear, through the last point."""
    x = Scale(low=1e4, high=1e7, ticks={10**p: f"{10**p:,}" for p in range(4, 8)}, logarithmic=True)
    parts: list[str] = []
    for left, title, values, colour, ticks in (
        (60, "CPU seconds", [one.processor for one in loads], BLUE, {0.1: "0.1 s", 1: "1 s", 10: "10 s", 100: "100 s"}),
        (
            440,
            "peak memory",
            [one.megabytes for one in loads],
            ORANGE,
            {10: "10 MB", 100: "100 MB", 1e3: "1 GB", 1e4: "10 GB"},
        ),
    ):
        panel = Panel(
            left=left,
            top=34,
            width=300,
            height=230,
            x=x,
            y=Scale(low=min(ticks), high=max(ticks), ticks=ticks, logarithmic=True),
        )
        points = list(zip([float(one.rows) for one in loads], values, strict=True))
        rows, last = points[-1]
        start = max(1e4, rows * min(ticks) / last)
        parts += panel.frame(title, x_title="rows of each model")
        parts.append(panel.draw([(start, last * start / rows), (rows, last)], GREY, width=1.2, dash="5 4"))
        parts += [panel.draw(points, colour), *panel.dots(points, colour)]
    parts.append(
        write(390, 325, f"{len(METRICS)} metrics × {SLICES} slices × 2 models on one core; dashed: strictly linear")
    )
    return draw_picture("Seconds and memory by rows", 780, 340, parts)


if __name__ == "__main__":
    main()
