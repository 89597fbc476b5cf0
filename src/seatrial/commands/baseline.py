"""Which baseline fits the tree that was measured (the table in docs/explanation/baseline.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from seatrial.core.revision import WORK_TREE, Revision, RevisionRange
from seatrial.errors import CompareError, UsageError
from seatrial.git import Repository

if TYPE_CHECKING:
    from seatrial.ci import CIJob

# Beyond this, an older commit says little about the branch of today.
_MOST_OLDER = 100
_WHOLE_SHA = 40


class Ends(Struct, frozen=True, kw_only=True):
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
            return RevisionRange(base=named, head=head, reason="as asked for", exact=True)
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


def find_job(repository: Repository, env: Mapping[str, str]) -> CIJob | None:
    """The CI job that these variables describe, with its commits spelt out, which Bitbucket abbreviates."""
    import dataclasses

    from seatrial import ci

    job = ci.detect(env, checked_out=repository.head_sha())
    if job is None:
        return None
    sha = job.baseline.sha
    baseline = dataclasses.replace(job.baseline, sha=_spell_out(repository, sha) if sha else None)
    return dataclasses.replace(job, head=_spell_out(repository, job.head), baseline=baseline)


def _spell_out(repository: Repository, commit: str) -> str:
    """A whole commit is left alone: it need not be here yet."""
    return commit if len(commit) >= _WHOLE_SHA else repository.resolve(commit)


def choose_ci_range(repository: Repository, job: CIJob, base: str | None) -> RevisionRange:
    """The range of a CI job, by its own hint; `base` overrides it."""
    checked_out = repository.head_sha()
    word = f"this {job.system.change_letters}" if job.change else job.head_name
    head = Revision(name=word, sha=checked_out, shown=job.head)
    if base is not None:
        return RevisionRange(base=_revision(repository, base), head=head, reason="as asked for")
    _refuse_other_tree(repository, job, checked_out)
    name = job.base_name or "baseline"
    sha = _find_hinted(repository, job, checked_out)
    if sha is None:
        return RevisionRange(base=None, head=head, reason=f"none: {job.baseline.reason} does not exist")
    chosen = RevisionRange(base=Revision(name=name, sha=sha), head=head, reason=job.baseline.reason)
    # A push moves the branch itself: that is no news.
    return replace(chosen, moved=_count_moved(repository, sha, name)) if job.change else chosen


def _find_hinted(repository: Repository, job: CIJob, checked_out: str) -> str | None:
    hint = job.baseline
    if hint.rule == "first-parent":
        parent = repository.first_parent(hint.sha or checked_out)
        return repository.ensure_commit(parent) if parent else None
    if hint.rule == "merge-base":
        other = repository.ensure_commit(hint.sha) if hint.sha else repository.resolve(job.base_name or "HEAD")
        found = repository.find_merge_base(other, checked_out)
        if found is None:
            # Only a root commit is a first measurement: cutting history off must not be a way around the gates.
            raise CompareError(
                f"{job.base_name or other[:7]} and the checked-out commit {checked_out[:7]} have no common history",
                hint="rebase the change on the branch that it is for, or name what to compare with: --base",
            )
        return found
    return repository.ensure_commit(hint.sha) if hint.sha else None


def find_policy_commit(repository: Repository, job: CIJob, base: Revision | None) -> Revision | None:
    """The commit whose policy judges: the tip of the branch that a change is for, else the baseline.

    The metrics of a change are held against the commit that it left; its gates are those that hold now, or an old
    branch would be judged by rules that have been given up.
    """
    if base is None or job.change is None or job.base_name is None:
        return base
    tip = _find_tip(repository, job, job.base_name)
    return Revision(name=job.base_name, sha=tip) if tip else base


def _find_tip(repository: Repository, job: CIJob, branch: str) -> str | None:
    """The tip of the branch that a change is for: as the event tells it, else as the remote has it now."""
    hint = job.baseline
    if hint.rule == "first-parent":  # a test merge was made with the tip
        return _find_hinted(repository, job, repository.head_sha())
    at_event = hint.sha if hint.rule == "merge-base" else None
    return repository.ensure_commit(at_event) if at_event else repository.fetch_branch(branch)


def _refuse_other_tree(repository: Repository, job: CIJob, checked_out: str) -> None:
    """UsageError where the checkout is not of the change: main measured against main would pass anything.

    GitLab's merge trains test commits that are made anew from the change: there only a commit of the target is refused.
    """
    from seatrial.ci.job import System

    if job.change is None or job.baseline.rule == "first-parent":
        return  # the first parent is asked for where GitHub's own merge of the change is checked out
    if job.head in (checked_out, *repository.parents(checked_out)):
        return
    if job.system is System.GITLAB:
        held = not _is_of_target(repository, job, checked_out)
    else:
        held = repository.find_merge_base(repository.ensure_commit(job.head), checked_out) == job.head
    if not held:
        raise UsageError(
            f"the checked-out commit {checked_out[:7]} does not hold the change {job.head[:7]}: it was not measured",
            hint="check the change itself out, or name what to compare with: --base",
        )


def _is_of_target(repository: Repository, job: CIJob, checked_out: str) -> bool:
    """Whether a commit is the baseline, or lies on the branch that the change is for, as far as that is here."""
    if checked_out == job.baseline.sha:
        return True
    try:
        tip = repository.resolve(job.base_name or "")
    except UsageError:
        return False  # a merge request's own clone need not have the branch
    return repository.merge_base(tip, checked_out) == checked_out


def walk_back(
    repository: Repository, revisions: RevisionRange, holds_metrics: Callable[[Revision], bool]
) -> RevisionRange:
    """Move the base along first parents to the nearest commit that holds metrics, or to none."""
    base = revisions.base
    if base is None or base.sha is None or revisions.exact:
        return revisions
    older = 0
    for older, revision in enumerate(_ancestry(repository, base)):
        if holds_metrics(revision):
            return replace(revisions, base=revision, older=older)
    looked = f"none of the {older + 1} commits up to {base}" if older == _MOST_OLDER else f"no commit up to {base}"
    return replace(revisions, base=None, reason=f"none: {looked} holds metrics")


def _ancestry(repository: Repository, base: Revision) -> Iterator[Revision]:
    """The base and its first parents; a shallow clone is deepened, or its edge would pass for the first of all."""
    yield base
    sha = base.sha
    for _ in range(_MOST_OLDER):
        parent = repository.first_parent(sha) if sha else None
        if parent is None:
            return
        if not repository.contains(parent):
            _deepen_to(repository, parent, base)
        yield Revision(name=base.name, sha=parent)
        sha = parent


def _deepen_to(repository: Repository, sha: str, base: Revision) -> None:
    assert base.sha is not None
    repository.deepen_until(
        lambda: sha if repository.contains(sha) else None,
        wanted=f"a commit before {base} that holds metrics",
        commits=(base.sha,),
    )
    repository.ensure_commit(sha)


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
