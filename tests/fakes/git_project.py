"""A real git repository in a temporary directory, for tests that read one."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seatrial.core.revision import Revision
from seatrial.git import Repository


@dataclass(frozen=True)
class GitProject:
    """Writes files and commits them; every commit has the same date, so that its name depends on content alone."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> GitProject:
        """An empty repository on the branch `main`."""
        root.mkdir(parents=True, exist_ok=True)
        project = cls(root)
        project.git("init", "--quiet", "--initial-branch=main")
        return project

    def git(self, *arguments: str) -> str:
        """What git prints, without the last newline; CalledProcessError where it fails."""
        done = subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.rstrip("\n")

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files by their path; None deletes one."""
        for path, content in files.items():
            place = self.root / path
            if content is None:
                place.unlink(missing_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "change") -> str:
        """Write files, commit everything, and return the commit."""
        self.write(files)
        written = [path for path, content in files.items() if content is not None]
        if written:
            self.git("add", "--force", "--", *written)
        self.git("commit", "--quiet", "--all", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    @property
    def repository(self) -> Repository:
        """The repository as seatrial sees it."""
        return Repository.discover(self.root)

    def revision(self, name: str) -> Revision:
        """A revision by its name."""
        return Revision(name=name, sha=self.repository.resolve(name))
