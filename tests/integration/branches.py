"""Branches of hundreds of commits, made by one `git fast-import` as fast as git can."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.repositories import Scratch

START = 1_767_225_600  # 2026-01-01
HOURS = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One commit of main's own line: what it writes (None removes), and what a branch that it merges wrote before."""

    files: Mapping[str, str | None] = field(default_factory=dict)
    merges: Mapping[str, str | None] | None = None
    subject: str = "change"


def grow(directory: Path, steps: list[Step]) -> list[str]:
    """A repository whose main is made of these steps, checked out; the commits of main, oldest first."""
    scratch = Scratch(directory)
    directory.mkdir(parents=True)
    scratch.git("init", "--quiet", "--initial-branch=main")
    stream = b"".join(_write(steps))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=directory, input=stream, check=True)
    scratch.git("reset", "--quiet", "--hard", "main")
    return scratch.git("rev-list", "--first-parent", "--reverse", "main").split("\n")


def declare(*paths: str) -> str:
    """A dvc.yaml whose only stage writes these metrics files, which git keeps."""
    outs = "".join(f"    - {path}:\n        cache: false\n" for path in paths)
    return f"stages:\n  train:\n    cmd: train\n    metrics:\n{outs}"


def spell(**values: Any) -> str:
    """A metrics file with these values."""
    return json.dumps(values)


def _write(steps: list[Step]) -> Iterator[bytes]:
    for at, step in enumerate(steps):
        before = f"from :{2 * at}\n".encode() if at else b""
        if step.merges is not None:
            yield _commit("side", 2 * at + 1, at, "on a branch", before, step.merges)
            before += f"merge :{2 * at + 1}\n".encode()
        yield _commit("main", 2 * at + 2, at, step.subject, before, step.files)


def _commit(branch: str, mark: int, at: int, subject: str, parents: bytes, files: Mapping[str, str | None]) -> bytes:
    who = f"A U Thor <author@example.com> {START + at * 6 * HOURS} +0000"
    head = f"commit refs/heads/{branch}\nmark :{mark}\ncommitter {who}\n".encode()
    return head + _data(subject) + parents + b"".join(_change(path, text) for path, text in files.items())


def _change(path: str, text: str | None) -> bytes:
    named = json.dumps(path)
    return f"D {named}\n".encode() if text is None else f"M 100644 inline {named}\n".encode() + _data(text)


def _data(text: str) -> bytes:
    content = text.encode()
    return f"data {len(content)}\n".encode() + content + b"\n"
