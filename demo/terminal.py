"""What the demonstration says while it works, and how it starts programs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# A test suite's or an outer job's variables must not be taken for those of the demonstrated job.
_FOREIGN = ("CI", "GITHUB_", "GITLAB_", "SEATRIAL_", "GIT_")


def say(text: str = "") -> None:
    """A line for the reader."""
    print(text, flush=True)


@contextmanager
def step(number: int, total: int, title: str) -> Iterator[None]:
    """A numbered part of the story, with the time that it took."""
    say(f"\n[{number}/{total}] {title}")
    started = time.monotonic()
    yield
    say(f"      {time.monotonic() - started:.0f} s")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without any CI job's, its own programs first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    identity = {
        f"GIT_{role}_{field}": value
        for role in ("AUTHOR", "COMMITTER")
        for field, value in (("NAME", "Demo"), ("EMAIL", "demo@example.org"))
    }
    # As the export stage has it: with oneDNN, TensorFlow says at each start that sums may be rounded otherwise.
    fixed = {"DVC_NO_ANALYTICS": "1", "TF_ENABLE_ONEDNN_OPTS": "0"}
    return {**kept, "PATH": programs, **fixed, **identity, **(extra or {})}


def run(*command: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """The standard output of a program that must succeed."""
    done = subprocess.run(
        command, cwd=cwd, env=environment(env), capture_output=True, text=True, check=False, encoding="utf-8"
    )
    if done.returncode != 0:
        sys.stderr.write(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        sys.exit(1)
    return done.stdout


def reproduce(project: Path, log: Path) -> int:
    """`dvc repro`, one line for each stage that runs, everything else in a log; how many stages ran."""
    ran = 0
    with log.open("w", encoding="utf-8") as kept:
        process = subprocess.Popen(
            ("dvc", "repro"),
            cwd=project,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        assert process.stdout is not None
        for line in process.stdout:
            kept.write(line)
            if line.startswith("Running stage"):
                ran += 1
                say(f"      {line.strip().removesuffix(':')}")
    if process.wait() != 0:
        sys.stderr.write(f"dvc repro failed; its last words:\n{log.read_text(encoding='utf-8')[-3000:]}")
        sys.exit(1)
    return ran
