"""Git tags in GTO's grammar: `gto show`, DVC's model registry and people read them.

    flights-delay@v0.0.2         the model of this commit is version 0.0.2
    flights-delay#production#3   the model of this commit is live in production; the number counts a model's events

Both are annotated tags, as GTO demands. A commit's version is the one that it has already, be it from us or by
`gto register`; else it is the greatest one with its last number raised by one, as GTO itself counts, beginning with
v0.0.1. It can't be the release's own number: each target counts its own releases, and a commit has one version.

An assignment is never moved: going back is a new tag on an old commit, and the one with the greatest number holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from msgspec import Struct

from seatrial.core.registry import Announcement, GtoSettings, Mirrored
from seatrial.errors import ReleaseError
from seatrial.git import GitError, Repository, Tag

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9/_-]*[A-Za-z0-9])?\Z")
_VERSION = re.compile(
    r"v(?P<major>\d+)\.(?P<minor>\d+)\.(?P<patch>\d+)([-+][0-9A-Za-z.+-]+)?(?P<undone>!?)(#(?P<count>\d+))?\Z"
)
_STAGE = re.compile(r"(?P<stage>[A-Za-z0-9/_-]+)(?P<undone>!?)(#(?P<count>\d+))?\Z")
_ATTEMPTS = 5
_MOST_SAID = 300


class _Known(Struct, frozen=True, kw_only=True):
    """What the tags of a model say of one commit and one stage; `last` is the stage's last tag, and is `active`."""

    version: str | None
    next_version: str
    last: str
    active: bool
    next_count: int


class GtoRegistry(Struct, frozen=True, kw_only=True):
    """The tags of a repository, or of its remote where the settings name one."""

    settings: GtoSettings
    repository: Repository

    @property
    def title(self) -> str:
        """What and where it is."""
        return f"gto ({self.settings.push})" if self.settings.push else "gto"

    def mirror(self, live: Announcement) -> Mirrored:
        """Register the commit's version and assign the stage to it, by as many tags as that takes.

        They are made all at once or not at all, and of a later second than the stage's last one, for GTO goes by their
        times. Should somebody else have made one of them meanwhile, it is looked at what they say now, and they are
        made anew.
        """
        name, commit = _check(live), live.record.commit
        repository, remote = self.repository, self.settings.push
        repository.ensure_commit(commit)
        make = partial(repository.push_tags, remote) if remote else repository.create_tags
        before = self._list(name)
        for _ in range(_ATTEMPTS):
            known = _read(before, name, self.settings.stage, commit)
            wanted = _choose(known, name, self.settings.stage, live)
            if not wanted:
                return Mirrored()
            try:
                after = repository.read_tag_time(known.last, before[known.last], remote=remote) if known.last else 0
                made = {tag: repository.write_tag(tag, commit, said, after=after) for tag, said in wanted.items()}
                make(made)
            except GitError as error:
                now = self._list(name)
                if now == before:
                    raise _explain(error, "the job needs the right to push tags" if remote else "") from None
                before = now
                continue
            return Mirrored(changes=tuple(f"new tag {tag}" for tag in wanted))
        raise ReleaseError(f"somebody else makes tags of {name} without pause", hint="try it again")

    def _list(self, name: str) -> dict[str, Tag]:
        try:
            return self.repository.list_tags(f"{name}@", f"{name}#", remote=self.settings.push)
        except GitError as error:
            raise _explain(error) from None


def _explain(error: GitError, hint: str = "") -> ReleaseError:
    """What git complained of, in one line."""
    lines = [line.strip() for line in error.message.splitlines() if line.strip() and not line.startswith("hint:")]
    return ReleaseError(" ".join(lines)[:_MOST_SAID], hint=hint)


def _check(live: Announcement) -> str:
    """The model's name where it is one in GTO's grammar, which has no dots."""
    name = live.record.name
    if not _NAME.match(name):
        raise ReleaseError(
            f"{name!r} is no name of GTO's grammar",
            hint="letters, digits, _ and -, beginning and ending with a letter or a digit",
        )
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", live.record.commit):
        raise ReleaseError(f"the deployment log names no commit of {name} {live.record.version}")
    return name


def _choose(known: _Known, name: str, stage: str, live: Announcement) -> dict[str, str]:
    """The tags that are wanting, each with its message."""
    version = known.version or known.next_version
    facts = "\n".join(f"{key}: {value}" for key, value in live.list_facts())
    wanted = {}
    if known.version is None:
        wanted[f"{name}@{version}"] = f"Register {name} {version}\n\n{facts}"
    if not known.active:
        wanted[f"{name}#{stage}#{known.next_count}"] = f"Assign {stage} to {name} {version}\n\n{facts}"
    return wanted


def _read(tags: Mapping[str, Tag], name: str, stage: str, commit: str) -> _Known:
    """Read a model's tags; GTO passes lightweight ones over, but their names are taken."""
    versions, undone = dict[str, str](), set[str]()
    numbers, counts, last = [(0, 0, 0)], [0], (-1, "", False)
    for tag, found in tags.items():
        mark, said = tag[len(name)], tag[len(name) + 1 :]
        match = (_VERSION if mark == "@" else _STAGE).match(said)
        if match is None:
            continue
        count = int(match["count"] or 0)
        counts.append(count)
        if mark == "#":
            if match["stage"] == stage and found.annotated:
                last = max(last, (count, tag, found.commit == commit and not match["undone"]))
            continue
        numbers.append((int(match["major"]), int(match["minor"]), int(match["patch"])))
        version = said.partition("#")[0].removesuffix("!")
        if match["undone"]:
            undone.add(version)
        elif found.annotated:
            versions[version] = found.commit
    major, minor, patch = max(numbers)
    return _Known(
        version=next((known for known, sha in versions.items() if sha == commit and known not in undone), None),
        next_version=f"v{major}.{minor}.{patch + 1}",
        last=last[1],
        active=last[2],
        next_count=max(counts) + 1,
    )
