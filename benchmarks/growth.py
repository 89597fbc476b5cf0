"""How `seatrial compare` grows: seconds and memory from ten metrics files to 10,000, and to 1,000,000 values.

    python benchmarks/growth.py                             the table
    python benchmarks/growth.py --plot docs/images/growth.svg

Every size is a repository of its own with two commits, a third of its files differing. Processor seconds are shown
(user and system, git's included), because they depend least on what else the machine is doing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from compare_vs_dvc import Run, execute, make_repository, watch

# Metrics files, and values in each of them.
_SIZES = ((10, 10), (100, 10), (1000, 10), (10_000, 10), (10_000, 100))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size, and what it cost."""

    files: int
    values: int
    seconds: float
    megabytes: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every size, print the table, and draw it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the points into an SVG")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each size that count [3]")
    options = parser.parse_args(arguments)
    points = []
    print("| metrics files | values | CPU s | CPU µs per value | peak MB |\n|--:|--:|--:|--:|--:|")
    for files, values in _SIZES:
        point = _measure(files, values, options.runs)
        points.append(point)
        each = point.seconds / point.values * 1e6
        print(
            f"| {files:,} | {point.values:,} | {point.seconds:.2f} | {each:,.0f} | {point.megabytes:,.0f} |", flush=True
        )
    if options.plot:
        options.plot.write_text(_draw(points), encoding="utf-8")


def _measure(files: int, values: int, count: int) -> Point:
    with tempfile.TemporaryDirectory() as scratch:
        root, base, head = make_repository(Path(scratch) / "project", 1, files, values)
        command = ["seatrial", "compare", base, head, "--format", "json", "--output", str(Path(scratch) / "out.json")]
        megabytes = watch(command, root, Path(scratch))
        runs: list[Run] = [execute(command, root, Path(scratch), {0}) for _ in range(count)]
    return Point(
        files=files,
        values=files * values,
        seconds=statistics.median(one.processor for one in runs),
        megabytes=megabytes,
    )


def _draw(points: Sequence[Point]) -> str:
    """Seconds by values, both logarithmic; the dashed line goes through the last point and is strictly linear."""
    last = points[-1]
    dots = [_place(point.values, point.seconds) for point in points]
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y in dots)
    start, end = _place(last.values / 1e3, last.seconds / 1e3), dots[-1]
    grid = [*((10**power, 0.01, 10**power, 100) for power in range(2, 7)), *((100, s, 1e6, s) for s in (0.1, 1, 10))]
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 340" font-family="sans-serif" font-size="12">',
        "<title>CPU seconds of seatrial compare by the number of values</title>",
        '<rect width="560" height="340" fill="#fff"/>',
        *(_line(_place(x1, y1), _place(x2, y2), "#ddd") for x1, y1, x2, y2 in grid),
        _line(start, end, "#888", 'stroke-dasharray="5 4"'),
        f'<polyline fill="none" stroke="#0b62a4" stroke-width="2" points="{path}"/>',
        *(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="#0b62a4"/>' for x, y in dots),
        # Most labels end at their dot; the first would leave the picture.
        _write(*dots[0], _label(points[0]), 20, "start"),
        *(_write(*dot, _label(point), -8) for dot, point in zip(dots[1:], points[1:], strict=True)),
        *(_write(_place(10**power, 0.01)[0], 312, f"{10**power:,}", 0, "middle") for power in range(2, 7)),
        *(_write(50, _place(100, s)[1] + 4, f"{s:g} s", 0, "end") for s in (0.01, 0.1, 1, 10, 100)),
        _write(305, 332, "values compared", 0, "middle"),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _label(point: Point) -> str:
    return f"{point.files:,} files: {point.seconds:.2g} s"


def _place(values: float, seconds: float) -> tuple[float, float]:
    return 60 + (log10(values) - 2) * 120, 295 - (log10(seconds) + 2) * 68


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, more: str = "") -> str:
    (x1, y1), (x2, y2) = start, end
    return f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="{colour}" {more}/>'


def _write(x: float, y: float, text: str, up: int, anchor: str = "end") -> str:
    return f'<text x="{x:.0f}" y="{y + up:.0f}" text-anchor="{anchor}" fill="#333">{text}</text>'


if __name__ == "__main__":
    main()
