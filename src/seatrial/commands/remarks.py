"""What predictions tell beside their metrics, for the small print: calibration, and what more draws would help."""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.stats.calibration import Calibration, measure_calibration
from seatrial.stats.names import Task
from seatrial.stats.sample import Sample


def remark_on(base: Sample, head: Sample) -> Iterator[str]:
    """The remarks on two samples of the same units."""
    if head.task is Task.BINARY:
        yield from _remark_on_calibration(base, head)
    if head.task is Task.SCORES:
        yield from _remark_on_draws(base, head)


def _remark_on_calibration(base: Sample, head: Sample) -> Iterator[str]:
    """For display alone: what the error is depends on the bins, so that gates belong on the Brier score."""
    from seatrial.stats.binary import BinarySample

    sides = [measure_calibration(one.label, one.score) for one in (base, head) if isinstance(one, BinarySample)]
    found = [one for one in sides if isinstance(one, Calibration)]
    if len(found) == 2:
        before, after = found
        yield (
            f"calibration error (ECE, for display) {before.debiased_error:.2g} → {after.debiased_error:.2g}, "
            f"where {after.noise:.1g} would be noise"
        )


def _remark_on_draws(base: Sample, head: Sample) -> Iterator[str]:
    from seatrial.stats.scores import DrawComponents, ScoreSample, find_components

    if isinstance(base, ScoreSample) and isinstance(head, ScoreSample):
        found = find_components(base, head)
        if isinstance(found, DrawComponents):
            yield found.advice
