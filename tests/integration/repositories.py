"""Real git repositories with small DVC projects written by hand, where DVC itself need not run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = "stages:\n  train:\n    cmd: train\n    metrics:\n    - metrics.json:\n        cache: false\n"


@dataclass(frozen=True, slots=True)
class Scratch:
    """A repository to write to."""

    directory: Path

    @classmethod
    def create(cls, directory: Path) -> Scratch:
        """An empty repository on the branch main, with a DVC project in it."""
        directory.mkdir(parents=True, exist_ok=True)
        scratch = cls(directory)
        scratch.git("init", "--quiet", "--initial-branch=main")
        (directory / ".dvc").mkdir()
        scratch.write({".dvc/config": "", "dvc.yaml": PROJECT})
        return scratch

    def git(self, *arguments: str) -> str:
        """Run git; its output without the last line's end."""
        done = subprocess.run(["git", *arguments], cwd=self.directory, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Write files of the work tree."""
        for name, content in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, files: Mapping[str, str | bytes], message: str = "change") -> str:
        """Write files and commit everything; the commit."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def measure(self, /, **values: Any) -> str:
        """Commit a metrics.json with these values."""
        return self.commit({"metrics.json": json.dumps(values)}, "measure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """The JSON report on standard output."""
        facts: dict[str, Any] = json.loads(self.out)
        return facts


def run_seatrial(directory: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Answer:
    """Run the command line in a process of its own, as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "seatrial", *arguments],
        cwd=directory,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    return Answer(code=done.returncode, out=done.stdout, err=done.stderr)
