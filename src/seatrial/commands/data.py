"""The tables of both sides, compared where their digests differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from seatrial.config.tables import DataTable
from seatrial.core.comparison import Side
from seatrial.core.data import Drift, Leak, TableDiff
from seatrial.core.metrics import Problem, Snapshot, State
from seatrial.core.revision import Revision
from seatrial.errors import CompareError
from seatrial.git import Repository

if TYPE_CHECKING:
    from seatrial.sources.tables import OpenTable

_NOT_INSTALLED = "tables are read by seatrial[stats], which is not installed"


class TableFile(Struct, frozen=True, kw_only=True):
    """One version of a table, not looked into yet: its bytes or where they are, and their digest."""

    source: bytes | Path
    digest: str


def compare_tables(
    repository: Repository, tables: tuple[DataTable, ...], base: Snapshot | None, head: Snapshot
) -> tuple[TableDiff, ...]:
    """What became of every table that the policy names; what can't be had is said, never passed over."""
    before = _Sided.find(repository, tables, base.revision) if base else None
    after = _Sided.find(repository, tables, head.revision)
    diffs = [_compare(table, before, after) for table in tables]
    return tuple(_add_relations(diff, table, before, after) for diff, table in zip(diffs, tables, strict=True))


class _Sided(Struct, frozen=True, kw_only=True):
    """The tables of one side by name: a file, the reason why there is none, or None where the revision has none."""

    tables: Mapping[str, DataTable]
    files: Mapping[str, TableFile | CompareError | None]
    opened: dict[str, OpenTable]

    @classmethod
    def find(cls, repository: Repository, tables: tuple[DataTable, ...], revision: Revision) -> _Sided:
        return cls(
            tables={table.name: table for table in tables},
            files={table.name: _find_file(repository, revision, table.path) for table in tables},
            opened={},
        )

    def open(self, name: str) -> OpenTable:
        """A table, looked into once; CompareError where it can't be had."""
        if name not in self.opened:
            from seatrial.sources.tables import OpenTable

            file = self.files[name]
            if not isinstance(file, TableFile):
                raise file or CompareError(f"{self.tables[name].path} is not there")
            self.opened[name] = OpenTable.open(file.source, self.tables[name])
        return self.opened[name]


def _find_file(repository: Repository, revision: Revision, path: str) -> TableFile | CompareError | None:
    """As `locate_table`, with the reason why a table can't be had as an answer."""
    try:
        return locate_table(repository, revision, path)
    except CompareError as error:
        return error


def locate_table(repository: Repository, revision: Revision, path: str) -> TableFile | None:
    """A table as DVC or git has it at a revision; None where neither knows it, CompareError where it can't be had."""
    from seatrial.sources.cache import hash_bytes
    from seatrial.sources.snapshot import locate_out, read_text

    out = locate_out(repository, revision, path)
    if out and any(file.path for file in out.files):
        raise CompareError(f"{path} is a directory at {revision}", hint="name one of the files in it")
    place = out.files[0].location if out and out.files else None
    if out and place:
        return TableFile(source=place, digest=out.files[0].digest)
    # An output that DVC does not cache is tracked by git, as is a file that is no output at all.
    text = read_text(repository, revision, path)
    if text is not None:
        return TableFile(source=text, digest=hash_bytes(text))
    if out is None:
        return None
    every = "" if revision.sha is None else "--all-commits "
    raise CompareError(f"{path} of {revision} is not in the local DVC cache", hint=f"dvc fetch {every}{path}")


def _compare(table: DataTable, before: _Sided | None, after: _Sided) -> TableDiff:
    """Rows and columns of a table, and its drift from its own baseline."""
    diff = TableDiff(name=table.name, path=table.path, role=table.role)
    now, old = after.files[table.name], before.files[table.name] if before else None
    if now is None:
        absent = CompareError(f"{table.path} is not there", hint="check `tables:` in seatrial.yaml, or restore it")
        return _refuse(diff, Side.HEAD, absent)
    if isinstance(now, CompareError):
        return _refuse(diff, Side.HEAD, now)
    if isinstance(old, CompareError):
        return _refuse(diff, Side.BASE, old)
    if before is None or old is None:
        return replace(diff, new=True)
    if now.digest == old.digest:
        return replace(diff, identical=True)
    side = Side.HEAD
    try:
        from seatrial.sources.drifts import measure_drift
        from seatrial.sources.tables import diff_tables

        candidate = after.open(table.name)
        candidate.check()
        side = Side.BASE
        baseline = before.open(table.name)
        baseline.check()
        return replace(diff_tables(baseline, candidate), drifts=(measure_drift(baseline, candidate),))
    except CompareError as error:
        return _refuse(diff, side, error)
    except ImportError:
        return _refuse(diff, Side.HEAD, CompareError(_NOT_INSTALLED, hint="pip install 'seatrial[stats]'"))


def _refuse(diff: TableDiff, side: Side, error: CompareError) -> TableDiff:
    problem = Problem(state=State.UNREADABLE, path=diff.path, message=error.message, hint=error.hint)
    return replace(diff, problem=problem, side=side)


def _add_relations(diff: TableDiff, table: DataTable, before: _Sided | None, after: _Sided) -> TableDiff:
    """What a table has to do with others of its own side: shared keys, drift from them."""
    try:
        leaks = [_find_leak(table.name, other, before, after) for other in table.others]
        drift = _measure_against(table, after) if table.against else None
        opened = after.opened.get(table.name)
    except ImportError:
        return _refuse(diff, Side.HEAD, CompareError(_NOT_INSTALLED, hint="pip install 'seatrial[stats]'"))
    except CompareError as error:
        return _refuse(diff, Side.HEAD, error)
    return replace(
        diff,
        leaks=tuple(leak for leak in leaks if leak),
        drifts=(*diff.drifts, *([drift] if drift else [])),
        n_head=opened.size if opened else diff.n_head,
        n_base=opened.size if opened and diff.identical else diff.n_base,
    )


def _find_leak(name: str, other: str, before: _Sided | None, after: _Sided) -> Leak | None:
    """The shared keys of the candidate, and how many the baseline's tables share; None where one is not there."""
    from seatrial.sources.tables import find_leak

    if not all(isinstance(after.files[one], TableFile) for one in (name, other)):
        return None
    leak = find_leak(after.open(name), after.open(other))
    if before is None:
        return leak
    if all(_is_same(before.files[one], after.files[one]) for one in (name, other)):
        return replace(leak, before=leak.shared.count)
    try:
        return replace(leak, before=find_leak(before.open(name), before.open(other)).shared.count)
    except CompareError:
        return leak  # the candidate's own leak counts, whatever the baseline was


def _is_same(one: TableFile | CompareError | None, other: TableFile | CompareError | None) -> bool:
    return isinstance(one, TableFile) and isinstance(other, TableFile) and one.digest == other.digest


def _measure_against(table: DataTable, side: _Sided) -> Drift | None:
    from seatrial.sources.drifts import measure_drift

    if not all(isinstance(side.files[one], TableFile) for one in (table.name, table.against)):
        return None
    return measure_drift(side.open(table.against), side.open(table.name), against=table.against)
