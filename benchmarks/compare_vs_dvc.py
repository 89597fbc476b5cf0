"""Wall time and memory of `seatrial compare` beside `dvc metrics diff`, on the same two revisions.

    python benchmarks/compare_vs_dvc.py                     a toy project made on the spot
    python benchmarks/compare_vs_dvc.py --projects 200      200 directories, each with a dvc.yaml of its own
    python benchmarks/compare_vs_dvc.py --stages 1000       one stage and one metrics file for each of 1,000 models
    python benchmarks/compare_vs_dvc.py --repo PATH A B     a repository of yours

Both read the same metrics; `--no-intervals` leaves out the statistics of predictions, for which DVC has no counterpart.
Where the repository has a seatrial.yaml, a further row has them. All are started as a user starts them, Python's own
start included, in turns, so that a busy machine is unfair to none. A run before the first that counts warms the disk's
cache. Numbers are for reading, not for asserting.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# 1: a gate of the repository's own policy failed
_ACCEPTED = {"seatrial": {0, 1}, "dvc": {0}, "intervals": {0, 1}}
_SHOWN = {
    "seatrial": "seatrial compare --no-intervals",
    "dvc": "dvc metrics diff",
    "intervals": "seatrial compare",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a command: seconds on the clock and on the processor, and the peak of its memory in MB."""

    seconds: float
    processor: float
    megabytes: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both commands and print the table."""
    options = _parse(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        if options.repo is None:
            print(f"making {options.projects} dvc.yaml with {options.stages} stage(s) each ...", flush=True)
            root, base, head = make_repository(Path(scratch) / "project", options.projects, options.stages)
        else:
            root, (base, head) = options.repo, options.revisions
        report = Path(scratch) / "report.json"
        compare = ["seatrial", "compare", base, head, "--format", "json", "--output", str(report)]
        commands = {
            "seatrial": [*compare, "--no-intervals"],
            "dvc": ["dvc", "metrics", "diff", "--json", base, head],
        }
        if (root / "seatrial.yaml").exists():
            commands["intervals"] = compare
        runs = _measure(commands, root, Path(scratch), options.runs)
        found = len(json.loads(report.read_text(encoding="utf-8"))["metrics"])
    _print(runs, found)


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


def _measure(commands: Mapping[str, Sequence[str]], root: Path, scratch: Path, count: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for turn in range(count + 1):
        for name, command in commands.items():
            run = execute(command, root, scratch, _ACCEPTED[name])
            if turn:
                runs[name].append(run)
                print(f"  {name:<9} {run.seconds:7.3f} s", flush=True)
    return runs


def execute(command: Sequence[str], root: Path, scratch: Path, accepted: set[int]) -> Run:
    """Run a module as a user would, installed and compiled; SystemExit where its exit code is not accepted."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
        "PYTHONPYCACHEPREFIX": str(scratch / "bytecode"),  # compiled once, as in an installed package
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(scratch / "site-cache"),
        "NO_COLOR": "1",
    }
    with (scratch / "output").open("w+b") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in accepted:
            output.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{output.read().decode(errors='replace')}")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    processor = usage.ru_utime + usage.ru_stime
    return Run(seconds=seconds, processor=processor, megabytes=usage.ru_maxrss / unit)


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


def _print(runs: Mapping[str, Sequence[Run]], found: int) -> None:
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} CPUs, {found} values compared by seatrial\n")
    print("| command | median s | fastest s | median CPU s | peak MB |")
    print("|:--|--:|--:|--:|--:|")
    for name, of_name in runs.items():
        seconds = [run.seconds for run in of_name]
        peak = max(run.megabytes for run in of_name)
        processor = statistics.median(run.processor for run in of_name)
        times = f"{statistics.median(seconds):.3f} | {min(seconds):.3f} | {processor:.3f}"
        print(f"| `{_SHOWN[name]}` | {times} | {peak:.0f} |")
    shares = {
        "wall time": _divide(runs, lambda run: run.seconds),
        "CPU time": _divide(runs, lambda run: run.processor),
        "memory": _divide(runs, lambda run: run.megabytes),
    }
    print(f"\nseatrial takes {', '.join(f'1/{share:.1f} of the {what}' for what, share in shares.items())}")


def _divide(runs: Mapping[str, Sequence[Run]], measure: Callable[[Run], float]) -> float:
    """How many times as much dvc takes, by medians."""
    return statistics.median(map(measure, runs["dvc"])) / statistics.median(map(measure, runs["seatrial"]))


if __name__ == "__main__":
    main()
