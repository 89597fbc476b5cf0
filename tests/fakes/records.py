"""What a stand-in forge remembers, in no forge's own shape, and how it outlives a restart."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

TOKEN = "token-of-the-stand-in"
EVERYTHING = frozenset({"comments", "checks", "statuses", "contents", "deployments"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a token speaks for, and what it may write.

    kind: "installation" (GITHUB_TOKEN or an App), "personal" (a person's token), "bot" (a project's access token),
    "job" (CI_JOB_TOKEN).
    """

    token: str
    login: str
    kind: Literal["installation", "personal", "bot", "job"]
    may: frozenset[str] = EVERYTHING


@dataclass(slots=True, kw_only=True)
class Change:
    """A pull or merge request; `pipeline_sha` is its pipeline's own commit, where that is a passing merge."""

    number: int
    title: str = "Train with a higher learning rate"
    body: str = ""
    author: str = "octocat"
    head_ref: str = "feature"
    head_sha: str = "1" * 40
    base_ref: str = "main"
    base_sha: str = "2" * 40
    pipeline: int | None = None
    pipeline_sha: str | None = None

    @property
    def measured(self) -> str:
        """The commit that GitLab's pipeline is of."""
        return self.pipeline_sha or self.head_sha


@dataclass(slots=True, kw_only=True)
class Remark:
    """A comment or note.

    `minimized` is the reason why GitHub folds it, `thread` GitLab's discussion, `resolved` None where that is none that
    somebody resolves.
    """

    id: int
    change: int
    author: str
    body: str
    created: str
    updated: str
    system: bool = False
    minimized: str = ""
    thread: str = ""
    resolved: bool | None = None


@dataclass(slots=True, kw_only=True)
class Check:
    """A check run, or a commit status; `state` is the forge's own word."""

    id: int
    kind: Literal["check", "status"]
    name: str
    sha: str
    state: str
    author: str
    created: str
    updated: str
    conclusion: str | None = None
    title: str = ""
    summary: str = ""
    text: str | None = None
    details_url: str | None = None
    pipeline: int | None = None
    ref: str | None = None
    annotations: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Deployed:
    """A deployment, with its statuses as they were sent, oldest first."""

    id: int
    sha: str
    environment: str
    author: str
    created: str
    sent: dict[str, Any]
    statuses: list[dict[str, Any]] = field(default_factory=list)

    @property
    def states(self) -> list[str]:
        """The states that it went through."""
        return [status["state"] for status in self.statuses]


@dataclass(slots=True, kw_only=True)
class Records:
    """The whole memory of a stand-in.

    `files` are what was uploaded or committed, in base64 by the path of their address; `tips` the branches' commits.
    """

    changes: dict[int, Change] = field(default_factory=dict)
    remarks: dict[int, Remark] = field(default_factory=dict)
    checks: dict[int, Check] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    tips: dict[str, str] = field(default_factory=dict)
    deployments: dict[int, Deployed] = field(default_factory=dict)
    ticks: int = 0

    def next_id(self) -> int:
        """A number that no other record has; later ones are greater."""
        self.ticks += 1
        return 1000 + self.ticks

    def now(self) -> str:
        """A time of its own for every record, without a clock: a second for each number given out."""
        moment = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=self.ticks)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def of_change(self, change: int) -> list[Remark]:
        """The change's comments, oldest first."""
        return sorted((r for r in self.remarks.values() if r.change == change), key=lambda r: r.id)

    def of_head(self, sha: str) -> list[Check]:
        """The commit's checks, oldest first."""
        return sorted((c for c in self.checks.values() if c.sha == sha), key=lambda c: c.id)


def save(records: Records, path: Path) -> None:
    """Write beside, then rename: a killed stand-in leaves the last whole memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(asdict(records), indent=1), encoding="utf-8")
    beside.replace(path)


def load(path: Path) -> Records:
    """The memory that `save` wrote, or an empty one."""
    if not path.exists():
        return Records()
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Records(
        changes={int(k): Change(**v) for k, v in raw["changes"].items()},
        remarks={int(k): Remark(**v) for k, v in raw["remarks"].items()},
        checks={int(k): Check(**v) for k, v in raw["checks"].items()},
        files=raw.get("files", {}),
        tips=raw.get("tips", {}),
        deployments={int(k): Deployed(**v) for k, v in raw.get("deployments", {}).items()},
        ticks=raw["ticks"],
    )
