"""Which baseline fits the tree that was measured (the table in docs/explanation/baseline.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seatrial.core.revision import WORK_TREE, Revision, RevisionRange
from seatrial.errors import UsageError
from seatrial.git import Repository

if TYPE_CHECKING:
    from seatrial.ci import CIJob

# Beyond this, an older commit says little about the branch of today.
_MOST_OLDER = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """The two revisions as a user wrote them; None is "choose for me" for base, the work tree for head."""

    base: str | None
    head: str | None
    three_dots: bool = False

    @classmethod
    def parse(cls, base: str | None, head: str | None) -> Ends:
        """Understand `A`, `A B`, `A..B` and `A...B` as git does; an empty side is HEAD."""
        if base is None or ".." not in base:
            return cls(base=base, head=head)
        if head is not None:
            raise UsageError(f"{base} already names two revisions", hint=f"leave {head} out")
        dots = "..." if "..." in base else ".."
        left, _, right = base.partition(dots)
        return cls(base=left or "HEAD", head=right or "HEAD", three_dots=dots == "...")


def choose_range(repository: Repository, ends: Ends) -> RevisionRange:
    """The range of a laptop: what was asked for, else the work tree against where its branch left the default one."""
    head = _name_head(repository, ends.head)
    at = head.sha or repository.head_sha()
    if ends.base is not None:
        named = _revision(repository, ends.base)
        if not ends.three_dots or named.sha is None:
            return RevisionRange(base=named, head=head, reason="as asked for")
        return _fork_point(repository, named, head, at)
    default = repository.default_branch()
    if default is None:
        raise UsageError(
            "there is no default branch to compare with: neither origin/HEAD nor main nor master is here",
            hint="name the baseline: seatrial compare BASE",
        )
    return _fork_point(repository, _revision(repository, default), head, at)


def choose_merged_range(repository: Repository, base: str | None) -> RevisionRange:
    """The range of a merged commit: HEAD against its first parent, or against what was asked for."""
    head = Revision(name=repository.branch_name() or "HEAD", sha=repository.head_sha())
    assert head.sha is not None
    if base is not None:
        return RevisionRange(base=_revision(repository, base), head=head, reason="as asked for")
    parent = repository.first_parent(head.sha)
    before = Revision(name="its first parent", sha=repository.ensure_commit(parent)) if parent else None
    return RevisionRange(base=before, head=head, reason="first parent of the merged commit")


def choose_ci_range(repository: Repository, job: CIJob, base: str | None) -> RevisionRange:
    """The range of a CI job, by its own hint; `base` overrides it."""
    checked_out = repository.head_sha()
    word = {"github": "this PR", "gitlab": "this MR"}[job.system.value] if job.change else job.head_name
    head = Revision(name=word, sha=checked_out, shown=job.head)
    if base is not None:
        return RevisionRange(base=_revision(repository, base), head=head, reason="as asked for")
    name = job.base_name or "baseline"
    sha = _find_hinted(repository, job, checked_out)
    if sha is None:
        return RevisionRange(base=None, head=head, reason=f"none: {job.baseline.reason} does not exist")
    chosen = RevisionRange(base=Revision(name=name, sha=sha), head=head, reason=job.baseline.reason)
    return replace(chosen, moved=_count_moved(repository, sha, name))


def _find_hinted(repository: Repository, job: CIJob, checked_out: str) -> str | None:
    hint = job.baseline
    if hint.rule == "first-parent":
        parent = repository.first_parent(hint.sha or checked_out)
        return repository.ensure_commit(parent) if parent else None
    if hint.rule == "merge-base":
        other = repository.ensure_commit(hint.sha) if hint.sha else repository.resolve(job.base_name or "HEAD")
        return repository.find_merge_base(other, checked_out)
    return repository.ensure_commit(hint.sha) if hint.sha else None


def walk_back(
    repository: Repository, revisions: RevisionRange, holds_metrics: Callable[[Revision], bool]
) -> RevisionRange:
    """Move the base along first parents to the nearest commit that holds metrics, or to none."""
    base = revisions.base
    if base is None or base.sha is None:
        return revisions
    for older, revision in enumerate(_ancestry(repository, base)):
        if holds_metrics(revision):
            return replace(revisions, base=revision, older=older)
    return replace(revisions, base=None, reason=f"none: no commit up to {base} holds metrics")


def _ancestry(repository: Repository, base: Revision) -> Iterator[Revision]:
    yield base
    assert base.sha is not None
    for sha in repository.first_parents(base.sha, _MOST_OLDER):
        yield Revision(name=base.name, sha=sha)


def _fork_point(repository: Repository, default: Revision, head: Revision, at: str) -> RevisionRange:
    assert default.sha is not None
    sha = repository.find_merge_base(default.sha, at)
    if sha is None:
        raise UsageError(
            f"{default.name} and {head.name} have no common history",
            hint=f"compare the two commits themselves: seatrial compare {default.name} HEAD",
        )
    moved = repository.count_between(sha, default.sha)
    return RevisionRange(
        base=Revision(name=default.name, sha=sha),
        head=head,
        reason=f"merge base with {default.name}",
        moved=moved or None,
    )


def _count_moved(repository: Repository, sha: str, branch: str) -> int | None:
    try:
        return repository.count_between(sha, repository.resolve(branch)) or None
    except UsageError:
        return None  # a detached CI clone need not have the branch: then nothing is said of it


def _name_head(repository: Repository, head: str | None) -> Revision:
    return Revision(name=WORK_TREE, sha=None) if head is None else _revision(repository, head)


def _revision(repository: Repository, name: str) -> Revision:
    sha = repository.resolve(name)
    return Revision(name="commit" if sha.startswith(name) else name, sha=sha)
