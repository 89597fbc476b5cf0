"""Who holds the parts of predictions that are not held in memory: this machine's disk, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from seatrial.commands.answers import blame
from seatrial.config.evaluations import Evaluation, Pairing
from seatrial.core.comparison import Side
from seatrial.sources.predictions import Pairs
from seatrial.sources.streams import Origin, Spilled, choose_parts, keep_pairs, pair_part, restore_pairs, spill
from seatrial.stats.names import Task

if TYPE_CHECKING:
    from seatrial.commands.summing import Engine

T = TypeVar("T")
LOCAL, RAY = "local", "ray"
_TASKS = frozenset({Task.BINARY, Task.REGRESSION, Task.SCORES})


def can_be_summed(evaluation: Evaluation) -> bool:
    """Whether the evaluation's metrics are known from sums over parts."""
    paired = evaluation.pairing is not Pairing.UNPAIRED
    return paired and evaluation.task in _TASKS and evaluation.columns.weight is None


@contextmanager
def open_engine(evaluation: Evaluation, before: Origin | None, after: Origin, name: str) -> Iterator[Engine | None]:
    """What sums both sides in parts while a comparison lasts; None where they are better held, or can't be summed.

    SidedError where a side can't be used.
    """
    if not can_be_summed(evaluation):
        yield None
    elif name == RAY:
        from seatrial.commands.rays import RayParts

        yield RayParts.open(before, after)
    elif after.is_large or (before is not None and before.is_large):
        with TemporaryDirectory(prefix="seatrial-") as directory:
            yield LocalParts.open(before, after, Path(directory))
    else:
        yield None


class LocalParts(Struct, frozen=True, kw_only=True):
    """The parts of this machine's temporary files, one after the other."""

    base: Spilled | None
    head: Spilled
    directory: Path

    @classmethod
    def open(cls, base: Origin | None, head: Origin, directory: Path) -> LocalParts:
        """Take both sides apart, into files of the directory."""
        parts = choose_parts(side.count_rows() for side in (base, head) if side)
        with blame(Side.HEAD):
            after = spill(head, directory / "head.parquet", parts)
        with blame(Side.BASE):
            before = spill(base, directory / "base.parquet", parts) if base else None
        return cls(base=before, head=after, directory=directory)

    @property
    def has_baseline(self) -> bool:
        """Whether there are two sides."""
        return self.base is not None

    def fold(self, task: Callable[[Pairs], T], join: Callable[[T, T], T]) -> T:
        """The task's answers, joined as they come."""
        whole = task(self._pair(0))
        for part in range(1, self.head.parts):
            whole = join(whole, task(self._pair(part)))
        return whole

    def average(self, column: str) -> float:
        """The mean of one of the candidate's columns."""
        return self.head.average(column)

    def _pair(self, part: int) -> Pairs:
        """One part, checked and joined the first time that it is asked for."""
        place = self.directory / f"pairs{part}.arrow"
        if place.exists():
            return restore_pairs(place, self.head.path, self.head.task)
        with blame(Side.HEAD):
            after = self.head.read(part)
        with blame(Side.BASE):
            before = self.base.read(part) if self.base else after
        pairs = pair_part(before, after)
        keep_pairs(pairs, place)
        return pairs
