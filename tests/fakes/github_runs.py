"""The part of the stand-in GitHub that knows workflow runs, their artifacts, and pull requests by their heads."""

from __future__ import annotations

import io
import re
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.fakes.records import Change, Records
from tests.fakes.server import Answer, RefusedError, Request, Route, as_json

WORKFLOW = ".github/workflows/fork-measure.yml"
_WHEN = "2026-01-01T00:00:00Z"
_OURS = 1
_SIMPLE = (
    *("url", "id", "node_id", "html_url", "diff_url", "patch_url", "issue_url", "commits_url", "review_comments_url"),
    *("review_comment_url", "comments_url", "statuses_url", "number", "state", "locked", "title", "user", "body"),
    *("labels", "milestone", "created_at", "updated_at", "closed_at", "merged_at", "merge_commit_sha", "assignee"),
    *("head", "base", "_links", "author_association", "auto_merge"),
)

Divergence = Callable[[str, str], tuple[str, str]]
"""`find(branch, sha)`: the branch's tip, and the last commit that both have."""


@dataclass(slots=True, kw_only=True)
class Fork:
    """A repository that a pull request comes from; the number 1 is the stand-in's own."""

    owner: str = "stranger"
    number: int = 2


@dataclass(slots=True, kw_only=True)
class Artifact:
    """What a run left."""

    id: int
    name: str
    content: bytes
    expired: bool = False
    told_size: int | None = None


@dataclass(slots=True, kw_only=True)
class Run:
    """A workflow run; without a fork the repository that it came from was deleted."""

    id: int
    head_sha: str
    head_branch: str = "feature"
    attempt: int = 1
    event: str = "pull_request"
    path: str = WORKFLOW
    status: str = "completed"
    fork: Fork | None = field(default_factory=Fork)
    artifacts: list[Artifact] = field(default_factory=list)


class RunRoutes:
    """Mixed into the stand-in, whose pull requests and identities it uses."""

    api_url: str
    web_url: str
    repository: str
    records: Records
    _identity: Any
    _minimal_repository: Any
    _repository: Any
    _user: Any
    _pull: Any
    _page_of: Any

    # What a test arranges.

    @cached_property
    def runs(self) -> dict[int, Run]:
        """The runs by number."""
        return {}

    @cached_property
    def forks(self) -> dict[int, Fork]:
        """Where the pull requests come from; those that are not here are of branches of the repository."""
        return {}

    @cached_property
    def closed(self) -> set[int]:
        """The pull requests that are not open."""
        return set()

    @cached_property
    def divergence(self) -> dict[str, Divergence]:
        """How to tell where a branch is; under the key `find`."""
        return {}

    def compare_in(self, directory: Path) -> None:
        """Tell tips and merge bases as a repository on this machine has them."""
        self.divergence["find"] = lambda branch, sha: (
            _git(directory, "rev-parse", f"refs/heads/{branch}"),
            _git(directory, "merge-base", f"refs/heads/{branch}", sha),
        )

    def leave(self, run: int, name: str, content: bytes) -> Artifact:
        """Let a run leave an artifact."""
        artifact = Artifact(id=self.records.next_id(), name=name, content=content)
        self.runs[run].artifacts.append(artifact)
        return artifact

    def show(self, run: int) -> dict[str, Any]:
        """A run as GitHub shows it."""
        return self._show(self._run(run))

    # Routes

    def run_routes(self, repo: str) -> tuple[Route, ...]:
        """The addresses, below the repository's."""
        return (
            ("GET", rf"{repo}/actions/runs/(\d+)", self.show_run),
            ("GET", rf"{repo}/actions/runs/(\d+)/artifacts", self.list_artifacts),
            ("GET", rf"{repo}/actions/artifacts/(\d+)/zip", self.redirect_to_archive),
            ("GET", r"/blobs/(\d+)", self.send_archive),
            ("GET", rf"{repo}/pulls", self.list_pulls),
            ("GET", rf"{repo}/compare/([^/]+)", self.show_divergence),
        )

    def show_run(self, request: Request, number: str) -> Answer:
        self._identity(request)
        return as_json(self._show(self._run(int(number))))

    def list_artifacts(self, request: Request, number: str) -> Answer:
        self._identity(request)
        wanted = request.query.get("name")
        found = [one for one in self._run(int(number)).artifacts if wanted in {None, one.name}]
        return as_json({"total_count": len(found), "artifacts": [self._show_artifact(one) for one in found]})

    def redirect_to_archive(self, request: Request, number: str) -> Answer:
        """GitHub keeps archives elsewhere, under an address that speaks for itself."""
        self._identity(request)
        artifact = self._artifact(int(number))
        if artifact.expired:
            raise RefusedError(410, "Artifact has expired")
        elsewhere = self.web_url.replace("127.0.0.1", "localhost")
        return Answer(status=302, headers={"Location": f"{elsewhere}/blobs/{artifact.id}?sig=secret"})

    def send_archive(self, request: Request, number: str) -> Answer:
        if request.headers.get("Authorization"):
            raise RefusedError(400, "the token came to another host")
        return Answer(content=self._artifact(int(number)).content, content_type="text/html")

    def list_pulls(self, request: Request) -> Answer:
        self._identity(request)
        owner, _, branch = request.query.get("head", "").partition(":")
        found = [
            self._show_pull(change)
            for change in self.records.changes.values()
            if change.number not in self.closed
            and (not owner or (self._fork(change).owner, change.head_ref) == (owner, branch))
        ]
        answer: Answer = self._page_of(request, found)
        return answer

    def show_divergence(self, request: Request, basehead: str) -> Answer:
        self._identity(request)
        branch, _, sha = unquote(basehead).partition("...")
        if "find" not in self.divergence:
            raise RefusedError(404, "Not Found")
        tip, base = self.divergence["find"](branch, sha)
        url = f"{self.api_url}/repos/{self.repository}/compare/{basehead}"
        return as_json(
            {
                **dict.fromkeys(("url", "html_url", "permalink_url", "diff_url", "patch_url"), url),
                "base_commit": self._show_commit(tip),
                "merge_base_commit": self._show_commit(base),
                "status": "diverged",
                "ahead_by": 1,
                "behind_by": 1,
                "total_commits": 1,
                "commits": [self._show_commit(sha)],
                "files": [],
            }
        )

    # In GitHub's shape

    def _run(self, number: int) -> Run:
        if number not in self.runs:
            raise RefusedError(404, "Not Found")
        return self.runs[number]

    def _artifact(self, number: int) -> Artifact:
        for run in self.runs.values():
            for artifact in run.artifacts:
                if artifact.id == number:
                    return artifact
        raise RefusedError(404, "Not Found")

    def _fork(self, change: Change) -> Fork:
        return self.forks.get(change.number) or Fork(owner=self.repository.partition("/")[0], number=_OURS)

    def _move(self, shown: dict[str, Any], fork: Fork) -> dict[str, Any]:
        """A repository as the fork has it."""
        full = f"{fork.owner}/{self.repository.partition('/')[2]}"
        return shown | {"id": fork.number, "full_name": full, "owner": self._user(fork.owner)}

    def _show(self, run: Run) -> dict[str, Any]:
        url = f"{self.api_url}/repos/{self.repository}/actions/runs/{run.id}"
        web = f"{self.web_url}/{self.repository}/actions/runs/{run.id}"
        kinds = ("jobs", "logs", "check_suite", "cancel", "rerun", "artifacts", "workflow")
        ours = self._minimal_repository()
        return {
            "id": run.id,
            "node_id": f"WFR_{run.id}",
            "name": "measure",
            "display_title": "measure",
            "head_branch": run.head_branch,
            "head_sha": run.head_sha,
            "path": run.path,
            "run_number": run.id,
            "run_attempt": run.attempt,
            "event": run.event,
            "status": run.status,
            "conclusion": "success" if run.status == "completed" else None,
            "workflow_id": 1,
            "url": url,
            "html_url": web,
            # GitHub leaves this empty for forks.
            "pull_requests": [],
            "created_at": _WHEN,
            "updated_at": _WHEN,
            "head_commit": None,
            "repository": ours,
            "head_repository": self._move(ours, run.fork) if run.fork else None,
            **{f"{kind}_url": f"{url}/{kind}" for kind in kinds},
        }

    def _show_artifact(self, artifact: Artifact) -> dict[str, Any]:
        url = f"{self.api_url}/repos/{self.repository}/actions/artifacts/{artifact.id}"
        return {
            "id": artifact.id,
            "node_id": f"A_{artifact.id}",
            "name": artifact.name,
            "size_in_bytes": len(artifact.content) if artifact.told_size is None else artifact.told_size,
            "url": url,
            "archive_download_url": f"{url}/zip",
            "expired": artifact.expired,
            **dict.fromkeys(("created_at", "expires_at", "updated_at"), _WHEN),
        }

    def _show_pull(self, change: Change) -> dict[str, Any]:
        whole, fork = self._pull(change), self._fork(change)
        head = whole["head"] | {
            "label": f"{fork.owner}:{change.head_ref}",
            "repo": self._move(self._repository(), fork),
            "user": self._user(fork.owner),
        }
        return {key: value for key, value in (whole | {"head": head}).items() if key in _SIMPLE}

    def _show_commit(self, sha: str) -> dict[str, Any]:
        url = f"{self.api_url}/repos/{self.repository}/commits/{sha}"
        tree = {"sha": sha, "url": url}
        return {
            "url": url,
            "sha": sha,
            "node_id": f"C_{sha}",
            "html_url": f"{self.web_url}/{self.repository}/commit/{sha}",
            "comments_url": f"{url}/comments",
            "commit": {
                "author": None,
                "committer": None,
                "comment_count": 0,
                "message": "change",
                "tree": tree,
                "url": url,
            },
            **dict.fromkeys(("author", "committer"), self._user("octocat")),
            "parents": [],
        }


def pack(files: Mapping[str, bytes]) -> bytes:
    """A zip archive with these files, as the artifact of a directory is."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def pack_directory(directory: Path) -> bytes:
    """A zip archive of a directory, as actions/upload-artifact makes it."""
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return pack({path.relative_to(directory).as_posix(): path.read_bytes() for path in files})


def _git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not re.fullmatch(r"[0-9a-f]{40}", done.stdout.strip()):
        raise RefusedError(404, "Not Found")
    return done.stdout.strip()
