"""Wall time and memory of `seatrial compare` beside `dvc metrics diff`, on the same two revisions.

    python benchmarks/compare_vs_dvc.py                     a toy project made on the spot
    python benchmarks/compare_vs_dvc.py --projects 200      200 directories, each with a dvc.yaml of its own
    python benchmarks/compare_vs_dvc.py --stages 1000       one stage and one metrics file for each of 1,000 models
    python benchmarks/compare_vs_dvc.py --repo PATH A B     a repository of yours

`--json` is the pair for a script, whose answers must be the same or the benchmark stops; the tables for people follow.
`--no-intervals` leaves out the statistics of predictions, for which DVC has no counterpart; where the repository has a
seatrial.yaml, a further row has them. All are started as a user starts them, Python's own start included, in turns, so
that a busy machine is unfair to none. A run before the first that counts warms the disk's cache, and another is watched
for its memory: the most that all its processes, git's included, hold at one time, each page that several share counted
once (Linux alone). Numbers are for reading, not for asserting.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_ACCEPTED = {"seatrial": {0, 1}, "dvc": {0}}  # 1: a gate of the repository's own policy failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a command: seconds on the clock and on the processor."""

    seconds: float
    processor: float


@dataclass(slots=True, kw_only=True)
class Measured:
    """A command, the runs of it that count, and the peak of its memory in MB."""

    command: Sequence[str]
    runs: list[Run]
    megabytes: float = 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both commands and print the table."""
    options = _parse(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        if options.repo is None:
            print(f"making {options.projects} dvc.yaml with {options.stages} stage(s) each ...", flush=True)
            root, base, head = make_repository(Path(scratch) / "project", options.projects, options.stages)
        else:
            root, (base, head) = options.repo, options.revisions
        compare, diff = ["seatrial", "compare", base, head], ["dvc", "metrics", "diff", base, head]
        found = _refuse_difference([*compare, "--json"], [*diff, "--json"], root, Path(scratch))
        pairs = [[*compare, "--json"], [*diff, "--json"], [*compare, "--no-intervals"], diff]
        if (root / "seatrial.yaml").exists():
            pairs.append(compare)
        measured = [Measured(command=command, runs=[]) for command in pairs]
        _measure(measured, root, Path(scratch), options.runs)
    _print(measured, found)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--projects", type=int, default=1, metavar="N", help="dvc.yaml files that are made [1]")
    parser.add_argument("--stages", type=int, default=1, metavar="N", help="stages of each of them [1]")
    parser.add_argument("--repo", type=Path, metavar="PATH", help="measure in this repository instead")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of each command that count [5]")
    parser.add_argument("revisions", nargs="*", metavar="A B", help="two revisions, with --repo")
    options = parser.parse_args(arguments)
    if (options.repo is None) != (not options.revisions) or len(options.revisions) not in {0, 2}:
        parser.error("--repo PATH takes two revisions, and two revisions need --repo PATH")
    return options


def _refuse_difference(ours: Sequence[str], theirs: Sequence[str], root: Path, scratch: Path) -> int:
    """How many values both tell; SystemExit where they do not tell the same old and new ones."""
    answers = []
    for command in (ours, theirs):
        execute(command, root, scratch, _ACCEPTED[command[0]])
        files = json.loads((scratch / "output").read_text(encoding="utf-8"))
        answers.append(
            {(file, key): (value.get("old"), value.get("new")) for file in files for key, value in files[file].items()}
        )
    different = {
        place for place in answers[0].keys() | answers[1].keys() if answers[0].get(place) != answers[1].get(place)
    }
    if different:
        raise SystemExit(f"{len(different)} values differ, such as {min(different)}: {answers}")
    return len(answers[0])


def _measure(measured: Sequence[Measured], root: Path, scratch: Path, count: int) -> None:
    for one in measured:
        one.megabytes = watch(one.command, root, scratch)
    for _ in range(count):
        for one in measured:
            run = execute(one.command, root, scratch, _ACCEPTED[one.command[0]])
            one.runs.append(run)
            print(f"  {_show(one.command):<32} {run.seconds:7.3f} s", flush=True)


def execute(command: Sequence[str], root: Path, scratch: Path, accepted: set[int]) -> Run:
    """Run a module as a user would, installed and compiled; SystemExit where its exit code is not accepted."""
    with (scratch / "output").open("wb") as output, (scratch / "errors").open("wb") as errors:
        started = time.perf_counter()
        process = _start(command, root, scratch, output, errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in accepted:
        raise SystemExit(f"{' '.join(command)} failed:\n{(scratch / 'errors').read_text(errors='replace')}")
    return Run(seconds=seconds, processor=usage.ru_utime + usage.ru_stime)


def watch(command: Sequence[str], root: Path, scratch: Path) -> float:
    """The most memory in MB that a command and all that it starts hold at one time (on Linux)."""
    peak = 0
    with (scratch / "output").open("wb") as output:
        process = _start(command, root, scratch, output, output)
        while process.poll() is None:
            # A child that has not become another program yet has its parent's memory, which counts once.
            held = dict(map(_measure_process, _list_tree(process.pid)))
            peak = max(peak, sum(held.values()))
            time.sleep(0.001)
    return peak / 1024


def _start(
    command: Sequence[str], root: Path, scratch: Path, output: IO[bytes], errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
        "PYTHONPYCACHEPREFIX": str(scratch / "bytecode"),  # compiled once, as in an installed package
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(scratch / "site-cache"),
        "NO_COLOR": "1",
    }
    return subprocess.Popen([sys.executable, "-m", *command], cwd=root, env=environment, stdout=output, stderr=errors)


def _list_tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):  # it, or a thread of it, has ended
            for children in Path("/proc", str(parent), "task").glob("*/children"):
                found += map(int, children.read_text().split())
    return found


def _measure_process(pid: int) -> tuple[bytes, int]:
    """The command line of a process and what it holds in KB, a page that n of them share counting as 1/n."""
    with contextlib.suppress(OSError):
        line = Path("/proc", str(pid), "cmdline").read_bytes()
        for entry in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
            if entry.startswith("Pss:"):
                return line, int(entry.split()[1])
    return b"", 0


def make_repository(root: Path, projects: int, stages: int, values: int = 4) -> tuple[Path, str, str]:
    """A git repository with a baseline and a candidate; a third of its metrics files differ.

    One dvc.yaml stands at the root, several in directories of their own. Each has one `foreach` of so many stages,
    and each stage a metrics file of so many values.
    """
    root.mkdir(parents=True)
    _git(root, "init", "--quiet", "--initial-branch=main")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=root, check=True)
    directories = [root] if projects == 1 else [root / f"project{number}" for number in range(projects)]
    names = [f"model{number}" for number in range(stages)]
    commits = []
    for rate in (0.1, 0.2):
        for number, directory in enumerate(directories):
            _write_project(directory, names, rate, values, first=number)
        _git(root, "add", "--all")
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        _git(root, *identity, "commit", "--quiet", f"--message=learning rate {rate}")
        commits.append(_git(root, "rev-parse", "HEAD"))
    return root, commits[0], commits[1]


def _write_project(directory: Path, names: Sequence[str], rate: float, values: int, *, first: int) -> None:
    """One dvc.yaml with everything that its stages read and have made."""
    (directory / "metrics").mkdir(parents=True, exist_ok=True)
    (directory / "train.py").write_text("", encoding="utf-8")
    (directory / "params.yaml").write_text(f"learning_rate: {rate}\n", encoding="utf-8")
    pipeline = (
        f"stages:\n  train:\n    foreach: {json.dumps(names)}\n    do:\n"
        "      cmd: python train.py ${item}\n      deps: [train.py]\n      params: [learning_rate]\n"
        "      metrics:\n        - metrics/${item}.json: {cache: false}\n"
    )
    (directory / "dvc.yaml").write_text(pipeline, encoding="utf-8")
    lock = ["schema: '2.0'", "stages:"]
    for number, name in enumerate(names, start=first):
        text = _spell_metrics(0.9 - number / 1e5 + (rate / 10 if number % 3 == 0 else 0), values)
        (directory / "metrics" / f"{name}.json").write_text(text, encoding="utf-8")
        lock += _lock_stage(name, rate, text)
    (directory / "dvc.lock").write_text("\n".join(lock) + "\n", encoding="utf-8")


def _spell_metrics(score: float, values: int) -> str:
    slices = {f"carrier{number:02}": score / number for number in range(2, values)}
    return json.dumps({"auc": score, "loss": 1 - score, "by": slices})


def _lock_stage(name: str, rate: float, metrics: str) -> list[str]:
    empty, digest = (hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() for text in ("", metrics))
    return [
        f"  train@{name}:",
        f"    cmd: python train.py {name}",
        f"    deps:\n    - path: train.py\n      hash: md5\n      md5: '{empty}'\n      size: 0",
        f"    params:\n      params.yaml:\n        learning_rate: {rate}",
        f"    outs:\n    - path: metrics/{name}.json\n      hash: md5",
        f"      md5: '{digest}'\n      size: {len(metrics)}",
    ]


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _print(measured: Sequence[Measured], found: int) -> None:
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} CPUs, {found} values differ, as both say\n")
    print("| command | median s | fastest s | median CPU s | peak MB |")
    print("|:--|--:|--:|--:|--:|")
    for one in measured:
        seconds = [run.seconds for run in one.runs]
        processor = statistics.median(run.processor for run in one.runs)
        times = f"{statistics.median(seconds):.3f} | {min(seconds):.3f} | {processor:.3f}"
        print(f"| `{_show(one.command)}` | {times} | {one.megabytes:.0f} |")
    for ours, theirs in (measured[:2], measured[2:4]):
        clock = _divide(ours, theirs, lambda run: run.seconds)
        processor = _divide(ours, theirs, lambda run: run.processor)
        memory = theirs.megabytes / ours.megabytes
        print(f"\n{_show(ours.command)}: 1/{clock:.1f} of the wall time, 1/{processor:.1f} of the CPU time, ", end="")
        print(f"1/{memory:.1f} of the memory")


def _show(command: Sequence[str]) -> str:
    """A command without its revisions."""
    words = 2 if command[0] == "seatrial" else 3
    return " ".join((*command[:words], *(word for word in command[words:] if word.startswith("--"))))


def _divide(ours: Measured, theirs: Measured, measure: Callable[[Run], float]) -> float:
    """How many times as much dvc takes, by medians."""
    return statistics.median(map(measure, theirs.runs)) / statistics.median(map(measure, ours.runs))


if __name__ == "__main__":
    main()
