"""Whether the committed metrics are those that come out when the pipeline is run."""

from __future__ import annotations

from pathlib import Path

from seatrial.core.comparison import Change, compare
from seatrial.core.metrics import State
from seatrial.core.numbers import spell_change
from seatrial.core.revision import WORK_TREE, Revision, RevisionRange
from seatrial.core.verdict import Finding, Outcome, Severity
from seatrial.git import Repository


def check_reproduction(repository: Repository, directory: Path, *, verify: bool) -> tuple[Finding, ...]:
    """Run the user's `dvc repro` in a directory; with `verify`, a finding for each metric that came out otherwise."""
    from seatrial.sources.reproduction import reproduce
    from seatrial.sources.snapshot import read_snapshot

    reproduce(directory)
    if not verify:
        return ()
    committed = Revision(name="committed", sha=repository.head_sha())
    made = Revision(name=WORK_TREE, sha=None)
    comparison = compare(
        RevisionRange(base=committed, head=made, reason="reproduction"),
        read_snapshot(repository, committed),
        read_snapshot(repository, made),
    )
    return tuple(_doubt(change) for change in comparison.metrics if change.state is not State.UNCHANGED)


def _doubt(change: Change) -> Finding:
    spelled = spell_change(change)
    return Finding(
        id=change.id,
        check="reproducible",
        limit="what dvc repro makes",
        outcome=Outcome.FAILED,
        severity=Severity.FAIL,
        reason=f"committed {spelled.base}, but `dvc repro` made {spelled.head}",
        hint="run `dvc repro` and commit dvc.lock and the metrics that it writes",
        change=change,
    )
