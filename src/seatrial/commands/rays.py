"""The parts of predictions on a Ray cluster: a map-reduce of Ray Data over the files of both sides.

A block is up to a million rows of one file. Every block of rows is numbered by part where it was read; the blocks of
one part meet in one place, where they stay for all passes; the driver gets nothing but sums. The nodes need the same
seatrial, and the files under the same paths.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import polars as pl
from msgspec import Struct

from seatrial.commands.answers import SidedError, blame
from seatrial.core.comparison import Side
from seatrial.errors import CompareError, UsageError
from seatrial.sources.frames import count_rows, explain_damage, scan_table
from seatrial.sources.predictions import Pairs, Predictions, miss_rows, select_from
from seatrial.sources.streams import PART, ROWS_OF_PART, Origin, average_column, choose_parts, number_parts, pair_part

T = TypeVar("T")
Row = dict[str, Any]


class Refusal(Struct, frozen=True, kw_only=True):
    """An error of one side, on its way from a worker to the driver."""

    side: str
    message: str
    hint: str


class Located(Struct, frozen=True, kw_only=True):
    """One side as the workers know it: `size` is its number of rows."""

    origin: Origin
    side: Side
    size: int

    @classmethod
    def of(cls, origin: Origin, side: Side) -> Located:
        """Look at the files' headers; SidedError where they can't be used."""
        with blame(side):
            origin.require_columns()
            size = count_rows(origin.source, origin.path)
            if size == 0:
                raise miss_rows(origin.path)
        return cls(origin=origin, side=side, size=size)

    def check(self, blocks: list[bytes]) -> Predictions:
        """The rows of one part, out of the blocks that hold them; SidedError for one that can't be used."""
        origin = self.origin
        with blame(self.side):
            with explain_damage(origin.path):
                empty = origin.select().head(0).collect()
            raw = pl.concat([empty, *(pl.read_ipc(io.BytesIO(block)) for block in blocks)], how="vertical_relaxed")
            return origin.check(raw, among=self.size)


class RayParts(Struct, frozen=True, kw_only=True, eq=False):
    """Both sides on a cluster: a dataset with the rows of one part in each of its rows."""

    base: Located | None
    head: Located
    parts: Any

    @classmethod
    def open(cls, base: Origin | None, head: Origin) -> RayParts:
        """Number and gather the rows, on the cluster of RAY_ADDRESS or else on this machine."""
        ray = _import_ray()
        after = Located.of(head, Side.HEAD)
        before = Located.of(base, Side.BASE) if base else None
        if not ray.is_initialized():
            _connect(ray)
        ray.data.DataContext.get_current().enable_progress_bars = False
        sides = [side for side in (before, after) if side]
        cores = int(ray.cluster_resources().get("CPU", 1))
        number = max(choose_parts(side.size for side in sides), cores)
        blocks = [_number_blocks(ray, side, number) for side in sides]
        together = blocks[0].union(blocks[1]) if before else blocks[0]
        parts = together.groupby("part", num_partitions=number).map_groups(_gather_part, batch_format="pyarrow")
        with _explain_cluster(ray):
            return cls(base=before, head=after, parts=parts.materialize())

    @property
    def has_baseline(self) -> bool:
        """Whether there are two sides."""
        return self.base is not None

    def fold(self, task: Callable[[Pairs], T], join: Callable[[T, T], T]) -> T:
        """The task's answers for all parts, joined in the parts' order, so that rounding is always the same."""
        base, head = self.base, self.head

        def answer(row: Row) -> Row:
            try:
                after = head.check(_list_blocks(row, head))
                before = base.check(_list_blocks(row, base)) if base else after
                return {"part": row["part"], "answer": task(pair_part(before, after))}
            except SidedError as error:
                refusal = Refusal(side=error.side.value, message=error.cause.message, hint=error.cause.hint)
                return {"part": row["part"], "answer": refusal}

        with _explain_cluster(_import_ray()):
            found = sorted(self.parts.map(answer).take_all(), key=lambda row: int(row["part"]))
        for row in found:
            if isinstance(row["answer"], Refusal):
                told = row["answer"]
                raise SidedError(Side(told.side), CompareError(told.message, hint=told.hint))
        answers: list[T] = [row["answer"] for row in found]
        return reduce(join, answers)

    def average(self, column: str) -> float:
        """The mean of one of the candidate's columns, which this machine reads by itself."""
        origin = self.head.origin
        with explain_damage(origin.path):
            return average_column(scan_table(origin.source, origin.path), column)


def _import_ray() -> Any:
    # Heavy, and needed by nobody else.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.data
    except ModuleNotFoundError:
        raise UsageError("--engine ray: Ray Data is not installed", hint="pip install 'seatrial[ray]'") from None
    return ray


def _connect(ray: Any) -> None:
    address = os.environ.get("RAY_ADDRESS") or None
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"--engine ray: no cluster at {address or 'this machine'}: {reason}", hint="check RAY_ADDRESS"
        ) from None


@contextmanager
def _explain_cluster(ray: Any) -> Iterator[None]:
    """Turn what fails on a node into a CompareError with the cause's own words."""
    try:
        yield
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        reason = str(cause).strip().rpartition("\n")[2]
        raise CompareError(
            f"--engine ray: {type(cause).__name__} on a node: {reason}",
            hint="the nodes need the same seatrial, Polars and Python, and the files under the same paths",
        ) from None


def _number_blocks(ray: Any, side: Located, number: int) -> Any:
    """A dataset with one row for each block and part: the part's number, the side, and the block's rows of it."""
    origin, name = side.origin, side.side.value

    def split(block: Row) -> Iterator[Row]:
        source = origin.source if isinstance(origin.source, bytes) else Path(block["file"])
        with explain_damage(origin.path):
            table = scan_table(source, origin.path).slice(int(block["start"]), int(block["rows"]))
            rows = select_from(table, origin.path, origin.columns, origin.cuts)
            numbered = number_parts(rows, origin, number).collect()
        for (part,), some in numbered.partition_by(PART, as_dict=True).items():
            stream = io.BytesIO()
            some.drop(PART).write_ipc(stream, compression="lz4")
            yield {"part": part, "side": name, "rows": stream.getvalue()}

    return ray.data.from_items(list(_list_file_blocks(origin))).flat_map(split)


def _list_file_blocks(origin: Origin) -> Iterator[Row]:
    """Stretches of rows of each file; formats that can't be entered midway are read as a whole."""
    files = origin.source if isinstance(origin.source, tuple) else (origin.source,)
    for file in files:
        rows = count_rows(file, origin.path)
        step = ROWS_OF_PART if PurePosixPath(origin.path).suffix.lower() == ".parquet" else max(rows, 1)
        for start in range(0, rows, step):
            yield {"file": "" if isinstance(file, bytes) else str(file), "start": start, "rows": step}


def _gather_part(group: Any) -> Row:
    """The blocks of one part, of both sides, as one row."""
    return {
        "part": [group["part"][0].as_py()],
        "sides": [group["side"].to_pylist()],
        "blocks": [group["rows"].to_pylist()],
    }


def _list_blocks(row: Row, side: Located) -> list[bytes]:
    named = zip(row["sides"], row["blocks"], strict=True)
    return [block for name, block in named if name == side.side.value]
