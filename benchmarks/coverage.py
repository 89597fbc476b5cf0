"""How often the 95 % intervals hold the truth, and what gates that rest on them stop.

    python benchmarks/coverage.py                   tables on the screen, about 15 minutes on two cores
    python benchmarks/coverage.py --quick           a tenth of the test sets
    python benchmarks/coverage.py --table docs/explanation/coverage.md --plots docs/images

From each population (`populations.py`) test sets of 50 to 10,000 units are drawn. Of each set an interval is made by
the same function that `seatrial compare` calls, and it is counted whether it holds the population's own difference.
Where seatrial declines to give an interval, that is counted apart. The gates (`gate_rates.py`) are judged by the rules
that judge a pull request. Everything is seeded: the same command gives the same numbers, whatever the number of
processes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from drawing import BLUE, GREY, ORANGE, RED, Panel, Scale, draw_picture, write
from gate_rates import (
    GateRates,
    SliceRates,
    draw_gates,
    draw_slices,
    draw_words,
    simulate_gates,
    simulate_slices,
    tell_gates,
)
from populations import POPULATIONS, Population
from progress import tell

from seatrial.stats.estimates import estimate
from seatrial.stats.names import Measure
from seatrial.stats.paired import Estimate

SIZES = (50, 100, 300, 1_000, 3_000, 10_000)
_LARGEST = {"ranking (n queries)": 3_000}  # a query is a dozen rows
_LOW, _HIGH = 0.93, 0.97
_LEAST = 50  # fewer intervals say little
_IGNORING = " — clusters ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Test sets of one size from one population; `ignoring` leaves its clusters out of account."""

    population: str
    n: int
    ignoring: bool = False

    @property
    def title(self) -> str:
        """The population, and whether its clusters count."""
        return self.population + (_IGNORING if self.ignoring else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One metric: of so many test sets, `given` got an interval; the truth was below `under` and above `over` ones."""

    task: Task
    metric: str
    sets: int
    given: int
    under: int
    over: int

    @property
    def coverage(self) -> float:
        """The share of intervals that hold the truth; NaN where there are too few."""
        return 1 - (self.under + self.over) / self.given if self.given >= _LEAST else math.nan

    @property
    def kept(self) -> bool:
        """Whether the coverage is as wanted, or within two standard errors of the simulation."""
        noise = 2 * math.sqrt(0.95 * 0.05 / max(self.given, 1))
        return not (self.coverage < _LOW - noise or self.coverage > _HIGH + noise)


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, print the tables, and write table and plots where that is asked for."""
    options = _parse(arguments)
    sets = options.sets // 10 if options.quick else options.sets
    started = time.perf_counter()
    with ProcessPoolExecutor(options.workers) as pool:
        cells = _simulate(pool, sets)
        tell(f"gates, {2 * sets:,} changes of each kind ...")
        gates, slices = simulate_gates(pool, 2 * sets), simulate_slices(pool, 2 * sets)
    tell("")
    text = "\n".join([*_tell_coverage(cells, sets), *tell_gates(gates, slices, 2 * sets)])
    print(text)
    if options.table:
        options.table.write_text(_PREFACE + text + "\n", encoding="utf-8")
    if options.plots:
        _write_plots(options.plots, cells, gates, slices)
    tell(f"{time.perf_counter() - started:.0f} s\n")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sets", type=int, default=2000, metavar="N", help="test sets of each kind [2000]")
    parser.add_argument("--quick", action="store_true", help="a tenth of them")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes [2]")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the tables into a Markdown page")
    parser.add_argument("--plots", type=Path, metavar="DIRECTORY", help="write the pictures")
    return parser.parse_args(arguments)


def _list_tasks() -> Iterator[Task]:
    for name in POPULATIONS:
        sizes = [n for n in SIZES if n <= _LARGEST.get(name, math.inf)]
        yield from (Task(population=name, n=n) for n in sizes)
        if "clusters" in name and name.startswith("binary, clusters"):
            yield from (Task(population=name, n=n, ignoring=True) for n in sizes)


def _simulate(pool: Executor, sets: int) -> tuple[Cell, ...]:
    tasks = list(_list_tasks())
    found: dict[Task, tuple[Cell, ...]] = {}
    futures = {pool.submit(measure_coverage, task, sets): task for task in tasks}
    for done, future in enumerate(as_completed(futures), start=1):
        task = futures[future]
        found[task] = future.result()
        tell(f"[{done}/{len(tasks)}] {task.title}, n = {task.n:,}")
    return tuple(cell for task in tasks for cell in found[task])


def measure_coverage(task: Task, sets: int) -> tuple[Cell, ...]:
    """Draw so many test sets, and count for each metric what its intervals hold."""
    population, truth = _find_population(task.population)
    random = np.random.default_rng([2024, list(POPULATIONS).index(task.population), task.n])
    given, under, over = (dict.fromkeys(truth, 0) for _ in range(3))
    for _ in range(sets):
        base, head, clusters = population.draw(random, task.n)
        answers = estimate(base, head, population.measures, groups=None if task.ignoring else clusters)
        for measure, answer in answers.items():
            if isinstance(answer, Estimate):
                given[measure] += 1
                under[measure] += truth[measure] < answer.low
                over[measure] += truth[measure] > answer.high
    return tuple(
        Cell(task=task, metric=str(one), sets=sets, given=given[one], under=under[one], over=over[one]) for one in truth
    )


@lru_cache(maxsize=2)
def _find_population(name: str) -> tuple[Population, Mapping[Measure, float]]:
    population = POPULATIONS[name]()
    return population, population.find_truth()


_PREFACE = """# Coverage, measured

Made by `python benchmarks/coverage.py`; [what the intervals mean](statistics.md) explains how to read it.

"""


def _tell_coverage(cells: Sequence[Cell], sets: int) -> list[str]:
    noise = 2 * math.sqrt(0.95 * 0.05 / sets)
    lines = [
        "## Intervals",
        "",
        f"The share of nominal 95 % intervals that hold the true difference, of {sets:,} test sets each; the",
        f"simulation's own noise is ±{noise:.3f}. **Bold**: outside of {_LOW} to {_HIGH} by more than this noise.",
        "In brackets: the share of test sets for which an interval is given, where that is not all; –: (nearly) none.",
        "n counts rows unless another unit is named.",
    ]
    for title, group in groupby(cells, key=lambda cell: cell.task.title):
        lines += ["", f"### {title[0].upper()}{title[1:]}", "", *_tabulate(list(group))]
    return [*lines, "", *_count_outside(cells)]


def _tabulate(cells: Sequence[Cell]) -> list[str]:
    sizes = list(dict.fromkeys(cell.task.n for cell in cells))
    by_place = {(cell.metric, cell.task.n): cell for cell in cells}
    lines = [f"| n = | {' | '.join(f'{n:,}' for n in sizes)} |", f"|:--|{'--:|' * len(sizes)}"]
    return lines + [
        f"| `{metric}` | {' | '.join(_spell(by_place[metric, n]) for n in sizes)} |"
        for metric in dict.fromkeys(cell.metric for cell in cells)
    ]


def _spell(cell: Cell) -> str:
    if math.isnan(cell.coverage):
        return "–"
    number = f"{cell.coverage:.3f}" if cell.kept else f"**{cell.coverage:.3f}**"
    share = cell.given / cell.sets
    return number if share > 0.995 else f"{number} ({share * 100:.0f} %)"


def _count_outside(cells: Sequence[Cell]) -> list[str]:
    counted = [one for one in cells if one.task.n >= 100 and not one.task.ignoring and not math.isnan(one.coverage)]
    low = [one for one in counted if not one.kept and one.coverage < _LOW]
    high = [one for one in counted if not one.kept and one.coverage > _HIGH]
    below, above = (sum(one.coverage < _LOW for one in counted), sum(one.coverage > _HIGH for one in counted))
    within = len(counted) - below - above
    return [
        f"Of the {len(counted)} combinations of 100 units and more, {within} lie within {_LOW} to {_HIGH} as measured,",
        f"{below} below and {above} above; by more than the simulation's noise {len(low)} below, {len(high)} above.",
        "",
    ]


def _write_plots(folder: Path, cells: Sequence[Cell], gates: Sequence[GateRates], slices: Sequence[SliceRates]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in (
        ("coverage.svg", _draw_coverage(cells)),
        ("gates.svg", draw_gates(gates)),
        ("slices.svg", draw_slices(slices)),
        ("verdicts.svg", draw_words()),
    ):
        (folder / name).write_text(picture, encoding="utf-8")


_ACROSS, _WIDTH, _HEIGHT = 3, 230, 150


def _draw_coverage(cells: Sequence[Cell]) -> str:
    """A small panel for each population, a line for each metric; the tinted band is what is wanted."""
    shown = [cell for cell in cells if not math.isnan(cell.coverage)]
    names = list(dict.fromkeys(cell.task.population for cell in shown))
    parts = []
    for position, name in enumerate(names):
        row, column = divmod(position, _ACROSS)
        panel = _place_panel(row, column)
        parts += [panel.band(_LOW, _HIGH), *panel.frame(name, y_labels=column == 0)]
        lines = groupby((cell for cell in shown if cell.task.population == name), key=lambda one: one.task.title)
        for title, group in lines:
            parts += _draw_lines(panel, list(group), ignoring=title.endswith(_IGNORING))
    rows = -(-len(names) // _ACROSS)
    height = 50 + rows * (_HEIGHT + 62)
    parts += [
        write(50, height - 14, "one line for each metric · ", anchor="start"),
        write(190, height - 14, "outside of 0.93 to 0.97 at n ≥ 100", anchor="start", colour=ORANGE),
        write(390, height - 14, "- - the same with clusters ignored", anchor="start", colour=RED),
    ]
    return draw_picture("Coverage of 95 % intervals by number of units", 60 + _ACROSS * (_WIDTH + 30), height, parts)


def _place_panel(row: int, column: int) -> Panel:
    ticks = {float(n): f"{n:,}" if n in {100, 1_000, 10_000} else "" for n in SIZES}
    return Panel(
        left=50 + column * (_WIDTH + 30),
        top=36 + row * (_HEIGHT + 62),
        width=_WIDTH,
        height=_HEIGHT,
        x=Scale(low=50, high=10_000, ticks=ticks, logarithmic=True),
        y=Scale(low=0.70, high=1.0, ticks={one / 100: f"{one / 100:.2f}" for one in (70, 80, 90, 95, 100)}),
    )


def _draw_lines(panel: Panel, cells: Sequence[Cell], *, ignoring: bool) -> list[str]:
    parts = []
    by_metric = {name: [one for one in cells if one.metric == name] for name in {each.metric for each in cells}}
    for metric in sorted(by_metric):
        line = by_metric[metric]
        outside = [one for one in line if one.task.n >= 100 and not one.kept]
        colour = RED if ignoring else ORANGE if outside else BLUE
        points = [(one.task.n, one.coverage) for one in line]
        parts.append(panel.draw(points, colour, width=1.2, dash="4 3" if ignoring else ""))
        if outside and not ignoring:
            worst = max(outside, key=lambda one: abs(one.coverage - 0.95))
            parts += panel.dots([(worst.task.n, worst.coverage)], colour, radius=2.5)
            parts.append(panel.label((worst.task.n, worst.coverage), metric, GREY, up=-14))
    return parts


if __name__ == "__main__":
    main()
