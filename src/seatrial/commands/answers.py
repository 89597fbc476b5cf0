"""One side of an evaluation: where its predictions are, and what its metrics file tells of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct

from seatrial.config.evaluations import Evaluation
from seatrial.core.comparison import Side
from seatrial.core.metrics import Snapshot, Value, is_finite
from seatrial.errors import CompareError
from seatrial.git import Repository

if TYPE_CHECKING:
    from seatrial.sources.cache import CachedOut
    from seatrial.sources.predictions import Predictions
    from seatrial.sources.streams import Origin


class SidedError(Exception):
    """Why one side's predictions can't be had."""

    def __init__(self, side: Side, cause: CompareError) -> None:
        super().__init__(cause.message)
        self.side, self.cause = side, cause


@contextmanager
def blame(side: Side) -> Iterator[None]:
    """Say of a CompareError which side it is about, as a SidedError."""
    try:
        yield
    except CompareError as error:
        raise SidedError(side, error) from None


class Answers(Struct, frozen=True, kw_only=True):
    """One side of an evaluation: its predictions, if they are held, and what the metrics file tells of them."""

    predictions: Predictions | None
    threshold: float
    values: Mapping[str, Value]

    @classmethod
    def read(
        cls, evaluation: Evaluation, snapshot: Snapshot, side: Side, origin: Origin, *, held: bool = True
    ) -> Answers:
        """Read one side, the predictions only if they are to be held; SidedError where it can't be had."""
        with blame(side):
            return cls(
                predictions=origin.read() if held else None,
                threshold=_read_threshold(evaluation, snapshot),
                values=_read_values(snapshot, evaluation.metrics_file),
            )


def is_untouched(repository: Repository, evaluation: Evaluation, base: Snapshot, head: Snapshot) -> bool:
    """Whether values, threshold and predictions are the same: every difference is 0 then, and certain.

    That is seen from digests, without the numbers and the second that importing polars takes.
    """
    from seatrial.sources.snapshot import locate_out

    if _read_values(base, evaluation.metrics_file) != _read_values(head, evaluation.metrics_file):
        return False
    if _read_threshold(evaluation, base) != _read_threshold(evaluation, head):
        return False
    try:
        before, after = (locate_out(repository, side.revision, evaluation.predictions) for side in (base, head))
    except CompareError:
        return False  # whoever reads them says why they can't be read, and of which side
    return before is not None and after is not None and bool(before.digest) and before.digest == after.digest


def _read_values(side: Snapshot, path: str | None) -> dict[str, Value]:
    """The top-level values of one metrics file, by name."""
    found = next((file for file in side.metrics if file.path == path), None)
    return {key[0]: value for key, value in found.values.items() if len(key) == 1} if found else {}


def find_origin(repository: Repository, evaluation: Evaluation, snapshot: Snapshot, side: Side) -> Origin:
    """Where the predictions of a side are, and what is needed of them; SidedError where they are not."""
    origin = seek_origin(repository, evaluation, snapshot, side)
    if origin is None:
        message = f"{evaluation.predictions} is not there at {snapshot.revision}"
        raise SidedError(side, CompareError(message, hint="check `predictions:` in seatrial.yaml"))
    return origin


def seek_origin(repository: Repository, evaluation: Evaluation, snapshot: Snapshot, side: Side) -> Origin | None:
    """As `find_origin`, but None where neither DVC nor git knows such a file on that side."""
    with blame(side):
        return _seek_origin(repository, evaluation, snapshot)


def _seek_origin(repository: Repository, evaluation: Evaluation, side: Snapshot) -> Origin | None:
    from seatrial.sources.predictions import Cuts
    from seatrial.sources.snapshot import locate_out, read_text
    from seatrial.sources.streams import Origin

    path = evaluation.predictions
    slicing = evaluation.slicing
    by = (*(slicing.columns if slicing else ()), *(gap.by for gap in evaluation.gaps))
    cuts = Cuts(columns=tuple(dict.fromkeys(by)), where=slicing.where if slicing else ())
    out = locate_out(repository, side.revision, path)
    # An output that DVC does not cache is tracked by git, as is a file that is no output at all.
    source = (_list_files(out) if out else None) or read_text(repository, side.revision, path)
    if source is None and out is None:
        return None
    if source is None:
        raise CompareError(f"{path} of {side.revision} is not in the local DVC cache (dvc fetch --all-commits {path})")
    suffix = _find_suffix(out) if isinstance(source, tuple) and out else ""
    # A directory has the format of its files.
    path = path if path.lower().endswith(suffix) else f"{path}/*{suffix}"
    return Origin(source=source, path=path, task=evaluation.task, columns=evaluation.columns, cuts=cuts)


def _list_files(out: CachedOut) -> Path | tuple[Path, ...] | None:
    """The output's file, or the tables of its directory; None where one is missing."""
    if len(out.files) == 1 and not out.files[0].path:
        return out.files[0].location
    tables = [file for file in out.files if _is_table(file.path)]
    found = tuple(file.location for file in tables if file.location is not None)
    return found if found and len(found) == len(tables) else None


def _find_suffix(out: CachedOut) -> str:
    """The one suffix that all tables of a directory have; CompareError if they have several."""
    suffixes = sorted({PurePosixPath(file.path).suffix.lower() for file in out.files if _is_table(file.path)})
    if len(suffixes) > 1:
        raise CompareError(f"{out.path} holds files of several formats: {', '.join(suffixes)}")
    return suffixes[0]


def _is_table(path: str) -> bool:
    """Whether a file of a directory counts: not the markers that others leave beside tables (_SUCCESS, .crc)."""
    return not PurePosixPath(path).name.startswith((".", "_"))


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
