"""How sure the differences are: from the per-sample predictions of both sides, where the policy names them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field

from seatrial.config import Evaluation
from seatrial.core.metrics import Interval, MetricId, Snapshot, Value, is_finite
from seatrial.errors import CompareError
from seatrial.git import Repository

if TYPE_CHECKING:
    from seatrial.sources.predictions import PairedPredictions, Predictions
    from seatrial.stats.paired import Estimate

# A metrics file is rounded when it is written; beyond this it was not made from these predictions.
_AGREEMENT = 1e-4


class Uncertainty(Struct, frozen=True, kw_only=True):
    """Intervals by metric, and what the report has to say of those that could not be had."""

    intervals: Mapping[MetricId, Interval] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def estimate_uncertainty(
    repository: Repository, evaluations: tuple[Evaluation, ...], base: Snapshot | None, head: Snapshot
) -> Uncertainty:
    """Intervals of every metric that the evaluations' predictions determine; absent ones are said, never faked."""
    if base is None or not evaluations:
        return Uncertainty()
    intervals: dict[MetricId, Interval] = {}
    notes: list[str] = []
    for evaluation in evaluations:
        try:
            found, remarks = _estimate(repository, evaluation, base, head)
        except ImportError:
            return Uncertainty(notes=("no intervals: install seatrial[stats]",))
        except CompareError as error:
            found, remarks = {}, [f"no intervals for {evaluation.metrics}: {error.message}"]
        intervals |= found
        notes += remarks
    return Uncertainty(intervals=intervals, notes=tuple(notes))


def _estimate(
    repository: Repository, evaluation: Evaluation, base: Snapshot, head: Snapshot
) -> tuple[dict[MetricId, Interval], list[str]]:
    if any(file.problem for side in (base, head) for file in side.metrics if file.path == evaluation.metrics):
        return {}, []  # the file itself is what the report speaks of
    if _is_untouched(repository, evaluation, base, head):
        return {}, [f"{evaluation.predictions}: the same on both sides"]
    from seatrial.sources.predictions import pair_predictions
    from seatrial.stats.binary import BinarySample
    from seatrial.stats.estimates import estimate
    from seatrial.stats.names import Measure
    from seatrial.stats.paired import Estimate

    before, after = (_Side.read(repository, evaluation, side) for side in (base, head))
    names = [name for name in before.determined if name in after.determined]
    if not names:
        return {}, [f"no intervals for {evaluation.metrics}: it holds no metric that predictions determine"]
    pairs = pair_predictions(before.predictions, after.predictions)
    estimates = estimate(
        BinarySample.of(pairs.label, pairs.base, threshold=before.threshold),
        BinarySample.of(pairs.label, pairs.head, threshold=after.threshold),
        [Measure(name=name) for name in names],
        groups=pairs.groups,
    )
    doubtful = before.find_disagreements(names) | after.find_disagreements(names)
    intervals: dict[MetricId, Interval] = {}
    remarks = _describe_pairing(evaluation, pairs)
    for measure, found in estimates.items():
        name = measure.name
        identity = MetricId(file=evaluation.metrics, key=(name,))
        if name in doubtful:
            remarks.append(f"no interval for {identity}: its value was not made from {evaluation.predictions}")
        elif isinstance(found, Estimate):
            intervals[identity] = _describe(found)
            remarks += [f"{identity.dotted}: {found.caution}"] if found.caution else []
        else:
            remarks.append(f"no interval for {identity.dotted}: {found.reason}")
    return intervals, remarks


def _is_untouched(repository: Repository, evaluation: Evaluation, base: Snapshot, head: Snapshot) -> bool:
    """Whether values, threshold and predictions are the same: every difference is 0 then, and certain.

    That is seen from digests, without the numbers and the second that importing polars takes.
    """
    from seatrial.sources.snapshot import locate_out

    if _read_values(base, evaluation.metrics) != _read_values(head, evaluation.metrics):
        return False
    if _read_threshold(evaluation, base) != _read_threshold(evaluation, head):
        return False
    before, after = (locate_out(repository, side.revision, evaluation.predictions) for side in (base, head))
    return before is not None and after is not None and bool(before.digest) and before.digest == after.digest


class _Side(Struct, frozen=True, kw_only=True):
    """One side of an evaluation: the values that its metrics file tells, and the predictions that they come from."""

    values: Mapping[str, Value]
    predictions: Predictions
    threshold: float

    @classmethod
    def read(cls, repository: Repository, evaluation: Evaluation, side: Snapshot) -> _Side:
        return cls(
            values=_read_values(side, evaluation.metrics),
            predictions=_read_predictions(repository, evaluation, side),
            threshold=_read_threshold(evaluation, side),
        )

    @property
    def determined(self) -> tuple[str, ...]:
        """The metrics of the file that predictions determine."""
        from seatrial.stats.names import METRIC_NAMES

        return tuple(name for name in METRIC_NAMES if is_finite(self.values.get(name)))

    def find_disagreements(self, names: list[str]) -> set[str]:
        """The metrics whose value in the file is not the one that the predictions yield."""
        from seatrial.stats.binary import BinarySample
        from seatrial.stats.estimates import measure_one
        from seatrial.stats.names import Measure

        sample = BinarySample.of(self.predictions.label, self.predictions.score, threshold=self.threshold)
        computed = measure_one(sample, [Measure(name=name) for name in names])
        return {one.name for one, value in computed.items() if not _agrees(self.values[one.name], value)}


def _describe(estimate: Estimate) -> Interval:
    return Interval(low=estimate.low, high=estimate.high, level=estimate.level, n=estimate.n, method=estimate.method)


def _describe_pairing(evaluation: Evaluation, pairs: PairedPredictions) -> list[str]:
    """What a reader must know of the evaluation set where the two sides do not share it."""
    remarks = []
    if pairs.n_common < max(pairs.n_base, pairs.n_head):
        remarks.append(
            f"{evaluation.predictions}: paired on the {pairs.n_common:,} samples that both sides hold "
            f"(baseline {pairs.n_base:,}, candidate {pairs.n_head:,})"
        )
    if pairs.labels_changed:
        remarks.append(f"{evaluation.predictions}: {pairs.labels_changed:,} labels differ between the sides")
    return remarks


def _agrees(told: Value, computed: object) -> bool:
    return (
        isinstance(told, (int, float))
        and isinstance(computed, float)
        and math.isclose(told, computed, rel_tol=_AGREEMENT, abs_tol=_AGREEMENT)
    )


def _read_values(side: Snapshot, path: str) -> dict[str, Value]:
    """The top-level values of one metrics file, by name."""
    found = next((file for file in side.metrics if file.path == path), None)
    return {key[0]: value for key, value in found.values.items() if len(key) == 1} if found else {}


def _read_predictions(repository: Repository, evaluation: Evaluation, side: Snapshot) -> Predictions:
    from seatrial.sources.predictions import PredictionColumns, read_predictions
    from seatrial.sources.snapshot import locate_out, read_text

    path = evaluation.predictions
    columns = PredictionColumns(
        key=(evaluation.key,), label=evaluation.label, score=evaluation.score, group=evaluation.group
    )
    out = locate_out(repository, side.revision, path)
    place = out.files[0].location if out and out.files else None
    # An output that DVC does not cache is tracked by git, as is a file that is no output at all.
    source = place or read_text(repository, side.revision, path)
    if source is not None:
        return read_predictions(source, path=path, columns=columns)
    if out is None:
        raise CompareError(f"{path} is not there at {side.revision}", hint="check `predictions:` in seatrial.yaml")
    raise CompareError(f"{path} of {side.revision} is not in the local DVC cache (dvc fetch --all-commits {path})")


def _read_threshold(evaluation: Evaluation, side: Snapshot) -> float:
    """The threshold of a side: the policy's number, or the parameter that it names."""
    if not isinstance(evaluation.threshold, str):
        return evaluation.threshold
    file, _, key = evaluation.threshold.rpartition(":")
    values = next((one.values for one in side.params if one.path == file), {})
    value = values.get(tuple(key.split(".")))
    if not is_finite(value) or isinstance(value, str):
        raise CompareError(f"the threshold {evaluation.threshold} is not a number at {side.revision}")
    return float(value or 0)
