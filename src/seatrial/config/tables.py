"""The tables of a policy: which rows and columns are compared, and what that must show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import UNSET, Struct

from seatrial.config.amounts import read_decimal, read_tolerance
from seatrial.config.document import Document, Path
from seatrial.config.raw import RawDrift, RawLeakage, RawTable, list_names
from seatrial.core.data import Role
from seatrial.core.data_rules import AnyTableRule, Count, DriftRule, LeakRule, RowRule, SchemaRule
from seatrial.core.verdict import Severity


class DataTable(Struct, frozen=True, kw_only=True):
    """A table that is compared row by row.

    `columns` and `ignore` are patterns, all columns where `columns` is None; `still` are patterns of the columns whose
    drift is not of interest. `others` are the tables that it may share no key with, `against` the one that its drift
    is measured from besides its own baseline.
    """

    name: str
    path: str
    key: tuple[str, ...]
    role: Role | None = None
    label: str | None = None
    columns: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    still: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    against: str = ""
    rules: tuple[AnyTableRule, ...] = ()

    @property
    def related(self) -> tuple[str, ...]:
        """The other tables that this one is held against."""
        return (*self.others, *([self.against] if self.against else []))


def build_tables(document: Document, items: list[Any]) -> tuple[DataTable, ...]:
    """Check every table; their names must differ, and those that they name must be there."""
    raws = [_convert(document, index, item) for index, item in enumerate(items)]
    names: dict[str, int] = {}
    for index, raw in enumerate(raws):
        name = raw.name or raw.path
        if name in names:
            hint = "give each a `name:`"
            raise document.fault(("tables", index), f"tables.{index}: another table is called {name!r}", hint=hint)
        names[name] = index
    known = {name: raws[index] for name, index in names.items()}
    return tuple(_build(_Reader(document, index, name, known)) for name, index in names.items())


def _convert(document: Document, index: int, item: Any) -> RawTable:
    """One table; its parts are converted on their own, so that a fault in them names their keys."""
    path: Path = ("tables", index)
    parts = item if isinstance(item, dict) else {}
    plain = {key: each for key, each in parts.items() if key not in {"leakage", "drift"}} if parts else item
    raw = document.convert(path, plain, RawTable)
    if parts.get("leakage") is not None:
        raw.leakage = document.convert((*path, "leakage"), parts["leakage"], RawLeakage)
    if parts.get("drift") is not None:
        raw.drift = document.convert((*path, "drift"), parts["drift"], RawDrift)
    if not raw.key:
        raise document.fault((*path, "key"), f"tables.{index}: `key` names no column")
    return raw


def _build(reader: _Reader) -> DataTable:
    raw = reader.known[reader.name]
    others = tuple(reader.list_others())
    return DataTable(
        name=reader.name,
        path=raw.path,
        key=list_names(raw.key),
        role=Role(raw.role) if raw.role else None,
        label=raw.label,
        columns=raw.columns,
        ignore=raw.ignore,
        still=raw.drift.ignore if raw.drift else (),
        others=others,
        against=(raw.drift.against or "") if raw.drift else "",
        rules=(
            *reader.limit_rows(),
            *reader.limit_schema(),
            *reader.limit_leaks(others),
            *reader.limit_drift(),
        ),
    )


class _Reader(Struct, frozen=True):
    """Reads what one table demands; `known` are all tables by name."""

    document: Document
    index: int
    name: str
    known: Mapping[str, RawTable]

    @property
    def path(self) -> Path:
        """Where the table stands."""
        return ("tables", self.index)

    @property
    def raw(self) -> RawTable:
        """The table as it is written."""
        return self.known[self.name]

    def limit_rows(self) -> Iterator[RowRule]:
        for count in Count:
            value = getattr(self.raw, count.value)
            if value is UNSET:
                continue
            here = (*self.path, count.value)
            if count is Count.FLIPPED and self.raw.label is None:
                hint = "add `label:`, the name of a column"
                raise self.document.fault(here, f"tables.{self.index}: {count.value} needs a label", hint=hint)
            most = read_tolerance(self.document, here, value)
            severity = Severity(self.raw.severity)
            yield RowRule(table=self.name, place=self.document.place(here), count=count, most=most, severity=severity)

    def limit_schema(self) -> Iterator[SchemaRule]:
        if self.raw.schema is not UNSET:
            here = (*self.path, "schema")
            yield SchemaRule(table=self.name, place=self.document.place(here), severity=Severity(self.raw.schema))

    def list_others(self) -> Iterator[str]:
        """The tables that this one may share no key with: those that it names, else those of the other role."""
        leakage = self.raw.leakage
        named = leakage.others if leakage else None
        if named is None:
            if self.raw.role == "train" or leakage:
                yield from (
                    self._match(name, (*self.path, "key"))
                    for name, raw in self.known.items()
                    if raw.role == "evaluation" and name != self.name
                )
            return
        for name in list_names(named):
            yield self._match(self._refer(name, (*self.path, "leakage", "with")), (*self.path, "leakage", "with"))

    def limit_leaks(self, others: tuple[str, ...]) -> Iterator[LeakRule]:
        leakage = self.raw.leakage or RawLeakage()
        here = (*self.path, "leakage")
        if self.raw.leakage and leakage.others is None and not others:
            hint = "name it with `with:`, or give one the role evaluation"
            raise self.document.fault(here, f"tables.{self.index}: leakage to which table?", hint=hint)
        most = read_tolerance(self.document, (*here, "max_shared"), leakage.max_shared)
        severity = Severity(leakage.severity)
        for other in others:
            yield LeakRule(table=self.name, place=self.document.place(here), other=other, most=most, severity=severity)

    def limit_drift(self) -> Iterator[DriftRule]:
        drift = self.raw.drift
        if drift is None:
            return
        here = (*self.path, "drift")
        against = self._refer(drift.against, (*here, "against")) if drift.against else ""
        most: Decimal | None = None
        if drift.max_psi != "auto":
            if isinstance(drift.max_psi, str):
                hint = "write auto, or a number such as 0.2"
                raise self.document.fault((*here, "max_psi"), f"`max_psi` is no limit: {drift.max_psi}", hint=hint)
            most = read_decimal(self.document, (*here, "max_psi"), drift.max_psi)
            if most < 0:
                raise self.document.fault((*here, "max_psi"), f"`max_psi` can't be negative: {drift.max_psi}")
        severity = Severity(drift.severity)
        yield DriftRule(table=self.name, place=self.document.place(here), against=against, most=most, severity=severity)

    def _refer(self, name: str, here: Path) -> str:
        """The name of another table; ConfigError with the nearest where there is none."""
        others = [other for other in self.known if other != self.name]
        if name in others:
            return name
        from seatrial.config.faults import suggest

        hint = suggest(name, others, f"other tables: {', '.join(others) or 'none'}")
        raise self.document.fault(here, f"tables.{self.index}: there is no other table {name!r}", hint=hint)

    def _match(self, name: str, here: Path) -> str:
        """The name of a table whose rows are identified by as many columns as those of this one."""
        mine, theirs = list_names(self.raw.key), list_names(self.known[name].key)
        if len(mine) != len(theirs):
            message = f"tables.{self.index}: its key ({', '.join(mine)}) can't be held against {name}'s"
            raise self.document.fault(
                here, f"{message} ({', '.join(theirs)})", hint="a leak is told by keys of as many columns on both"
            )
        return name
