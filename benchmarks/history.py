"""How `seatrial history` grows: seconds and memory for a thousand and for 10,000 commits of main.

    python benchmarks/history.py

Every commit of main's own line trains anew: it changes params.yaml, dvc.lock and every metrics file; one in five merges
a branch. Wall and processor seconds are shown (user and system, git's included), the median of a few runs each.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from compare_vs_dvc import execute, watch

# Commits, metrics files, values in each of them.
_SIZES = ((1_000, 1, 5), (10_000, 1, 5), (10_000, 10, 5))
_HOUR = 3_600
_START = 1_600_000_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every size, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each size that count [3]")
    options = parser.parse_args(arguments)
    print("| commits | metrics files | measurements | wall s | CPU s | peak MB |\n|--:|--:|--:|--:|--:|--:|")
    for commits, files, values in _SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "project"
            grow(root, commits, files, values)
            command = ["seatrial", "history", "--format", "csv", "--output", str(Path(scratch) / "out.csv")]
            megabytes = watch(command, root, Path(scratch))
            runs = [execute(command, root, Path(scratch), {0}) for _ in range(options.runs)]
            read = (Path(scratch) / "out.csv").read_text(encoding="utf-8").count("\n") - 1
        if read != commits * files * values:
            sys.exit(f"{read:,} measurements were read, not {commits * files * values:,}")
        wall, processor = (
            statistics.median(one) for one in zip(*((run.seconds, run.processor) for run in runs), strict=True)
        )
        print(f"| {commits:,} | {files} | {read:,} | {wall:.2f} | {processor:.2f} | {megabytes:,.0f} |", flush=True)


def grow(root: Path, commits: int, files: int, values: int) -> None:
    """A repository with that many commits on main's own line, made by one `git fast-import`."""
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=root, check=True)
    importer = subprocess.Popen(["git", "fast-import", "--quiet"], cwd=root, stdin=subprocess.PIPE)
    assert importer.stdin is not None
    for part in _write(commits, files, values, random.Random(0)):
        importer.stdin.write(part)
    importer.stdin.close()
    if importer.wait():
        sys.exit("git fast-import failed")
    subprocess.run(["git", "repack", "-adq"], cwd=root, check=True)


def _write(commits: int, files: int, values: int, chance: random.Random) -> Iterator[bytes]:
    names = [f"reports/{number}/metrics.json" for number in range(files)]
    outs = "".join(f"    - {name}:\n        cache: false\n" for name in names)
    for at in range(commits):
        parents = f"from :{2 * at}\n" if at else ""
        if at and at % 5 == 0:
            yield _commit("side", 2 * at + 1, at, parents, {"notes.md": f"{at}\n"})
            parents += f"merge :{2 * at + 1}\n"
        changed = {name: _metrics(values, chance) for name in names}
        changed |= {"params.yaml": f"rate: {at}\n", "dvc.lock": _lock(names, at)}
        if not at:
            changed |= {"dvc.yaml": f"stages:\n  train:\n    cmd: train\n    metrics:\n{outs}", ".dvc/config": ""}
            changed |= {f"src/part{number % 10}/file{number}.py": f"{number}\n" for number in range(300)}
        yield _commit("main", 2 * at + 2, at, parents, changed)


def _metrics(values: int, chance: random.Random) -> str:
    return "{" + ", ".join(f'"metric_{number}": {chance.random()}' for number in range(values)) + "}"


def _lock(names: list[str], at: int) -> str:
    outs = "".join(f"    - path: {name}\n      md5: {at:032x}\n" for name in names)
    return f"schema: '2.0'\nstages:\n  train:\n    cmd: train\n    outs:\n{outs}"


def _commit(branch: str, mark: int, at: int, parents: str, files: dict[str, str]) -> bytes:
    who = f"A U Thor <author@example.com> {_START + at * _HOUR} +0000"
    changes = "".join(f"M 100644 inline {name}\n{_data(text)}" for name, text in files.items())
    return f"commit refs/heads/{branch}\nmark :{mark}\ncommitter {who}\n{_data('train')}{parents}{changes}".encode()


def _data(text: str) -> str:
    return f"data {len(text)}\n{text}\n"


if __name__ == "__main__":
    main()
