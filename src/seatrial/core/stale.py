"""Which values come from a stale stage: its own, and those of the stages behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seatrial.core.metrics import Snapshot, StageRecord, StaleStage


def explain_stale(head: Snapshot) -> Mapping[str, str]:
    """The outputs of the candidate that its own code, data and parameters did not make, each with the reason."""
    if not head.stale:
        return {}
    known = {stale.address: stale for stale in head.stale}
    consumers: dict[str, list[StageRecord]] = {}
    for stage in head.stages:
        for path in {above for dep in stage.deps for above in list_above(dep.path)}:
            consumers.setdefault(path, []).append(stage)
    reasons: dict[str, str] = {}
    ahead = [(path, why) for stage in head.stages for path, why in _explain_own(stage, known.get(stage.address))]
    while ahead:
        path, why = ahead.pop()
        if path not in reasons:
            reasons[path] = why
            ahead += [(out.path, why) for stage in consumers.get(path, ()) for out in stage.outs]
    return reasons


def list_above(path: str) -> Iterator[str]:
    """The path itself, and every directory above it."""
    yield path
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _explain_own(stage: StageRecord, stale: StaleStage | None) -> Iterator[tuple[str, str]]:
    """The outputs of a stage that are stale by themselves."""
    if stale is None:
        return
    for path in stale.edited:
        yield path, f"is not what stage {stale.address} made"
    if stale.because:
        more = f" and {len(stale.because) - 1} more" if len(stale.because) > 1 else ""
        why = f"stage {stale.address} is stale: {stale.because[0]}{more} changed since it ran"
        yield from ((out.path, why) for out in stage.outs if out.path not in stale.edited)
