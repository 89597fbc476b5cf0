"""What both sides declare and nobody has here: fetched before the comparison, by the user's own DVC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from seatrial.core.metrics import MetricSet, Snapshot, State
from seatrial.core.revision import Revision
from seatrial.git import Repository
from seatrial.sources.fetching import MAX_SECONDS, Wanted, fetch_missing, is_elsewhere, list_missing
from seatrial.sources.snapshot import locate_out

if TYPE_CHECKING:
    from seatrial.config.tables import DataTable


class Sides(Struct, frozen=True, kw_only=True):
    """Both snapshots, and what the report has to say of files that did not come."""

    base: Snapshot | None
    head: Snapshot
    notes: tuple[str, ...] = ()


def bring_missing(
    repository: Repository,
    sides: Sides,
    predictions: tuple[str, ...],
    read: Callable[[Revision], Snapshot],
    tell: Callable[[str], None],
    *,
    data: tuple[DataTable, ...] = (),
) -> Sides:
    """Fetch metrics, parameters, predictions and tables that are nowhere here, and read the sides again.

    What did not come stays missing, and says why.
    """
    files = [wanted for side in (sides.base, sides.head) if side for wanted in list_missing(side)]
    tables = tuple(dict.fromkeys((*_list_tables(repository, sides, predictions), *_list_data(repository, sides, data))))
    if not files and not tables:
        return sides
    tell(f"fetching {len(files) + len(tables)} files that are not in the local cache: dvc fetch")
    reason = fetch_missing(repository, [*files, *tables], seconds=MAX_SECONDS)
    absent = [wanted for wanted in tables if reason and is_elsewhere(repository, wanted)]
    notes = (f"{', '.join(dict.fromkeys(wanted.path for wanted in absent))}: {reason}",) if absent else ()
    base, head = (_say_why(read(side.revision), reason) if side else None for side in (sides.base, sides.head))
    assert head is not None
    return Sides(base=base, head=head, notes=notes)


def _list_tables(repository: Repository, sides: Sides, predictions: tuple[str, ...]) -> tuple[Wanted, ...]:
    """The predictions that intervals need: none where nothing differs, for every difference is 0 then."""
    if sides.base is None or (sides.base.metrics, sides.base.params) == (sides.head.metrics, sides.head.params):
        return ()
    paths = dict.fromkeys(predictions)
    wanted = [Wanted(revision=side.revision, path=path) for path in paths for side in (sides.base, sides.head)]
    return tuple(one for one in wanted if is_elsewhere(repository, one))


def _list_data(repository: Repository, sides: Sides, tables: tuple[DataTable, ...]) -> Iterator[Wanted]:
    """The tables that are compared: none whose digest says that it is the same, unless its keys are looked for."""
    looked_into = {name for table in tables if table.others or table.against for name in (table.name, *table.related)}
    for table in tables:
        wanted = [Wanted(revision=side.revision, path=table.path) for side in (sides.base, sides.head) if side]
        digests = {out.digest if (out := locate_out(repository, one.revision, one.path)) else "" for one in wanted}
        if table.name in looked_into or len(digests) > 1 or digests == {""}:
            yield from (one for one in wanted if is_elsewhere(repository, one))


def _say_why(side: Snapshot, reason: str) -> Snapshot:
    """A side whose files that did not come tell the reason."""
    if not reason:
        return side
    metrics, params = (tuple(_explain(file, reason) for file in files) for files in (side.metrics, side.params))
    return replace(side, metrics=metrics, params=params)


def _explain(file: MetricSet, reason: str) -> MetricSet:
    if file.problem is None or file.problem.state is not State.MISSING_CACHE:
        return file
    return replace(file, problem=replace(file.problem, message=f"{file.problem.message}; {reason}"))
