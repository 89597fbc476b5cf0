"""The plots that both sides declare: whether they differ, and the rows and pictures that are drawn of them.

Rows come from git, or from DVC's cache, and are an even sample of a file that is long. Templates that a repository
brings itself are not run: a Vega-Lite specification of a stranger can ask the network and use a reader's processor, so
each is drawn by the nearest of our own shapes, and that is said.
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

from msgspec import Struct

from seatrial.core.comparison import Side
from seatrial.core.document import Picture
from seatrial.core.metrics import Problem, State
from seatrial.core.naming import shorten_paths
from seatrial.core.plots import Coordinate, PlotChange, PlotData, Series, Shape
from seatrial.core.revision import RevisionRange
from seatrial.git import Repository
from seatrial.sources import pictures
from seatrial.sources.cache import hash_bytes
from seatrial.sources.dvcfiles import Plot
from seatrial.sources.formats import MAX_BYTES, FormatError
from seatrial.sources.plot_rows import Rows, read_rows
from seatrial.sources.snapshot import Content, open_content

MOST_PLOTS = 500
MOST_SERIES = 12
_MOST_POINTS = 6_000  # of one plot, all series of both sides together
_FEWEST_POINTS = 100
_MOST_COUNTED = 200_000  # rows whose classes are counted
_LONGEST = 80
_INDEX = "step"
_NO_WEIGHT = 1.0


class _Source(NamedTuple):
    """Where one series comes from: the file and field of y, those of x (no field: the row's number)."""

    file: str
    y: str | None
    x_file: str
    x: str | None


class _Entry(Struct, frozen=True, kw_only=True):
    """A plot of one side: how it is declared, and the digests of the files that it is drawn from."""

    plot: Plot
    digests: Mapping[str, str | Problem]


class PlotReader:
    """Reads the plots of two revisions; nothing is held of a plot that is not being read."""

    def __init__(self, repository: Repository, revisions: RevisionRange) -> None:
        self._content: dict[Side, Content] = {Side.HEAD: open_content(repository, revisions.head)}
        if revisions.base:
            self._content[Side.BASE] = open_content(repository, revisions.base)
        self._entries = {side: self._list_entries(content) for side, content in self._content.items()}

    def _list_entries(self, content: Content) -> Mapping[str, _Entry]:
        entries: dict[str, _Entry] = {}
        for plot in content.project.plots:
            for name, files in _expand(plot, content):
                if len(entries) < MOST_PLOTS:
                    entries[name] = _Entry(plot=plot, digests=files)
        return entries

    def list_changes(self) -> tuple[PlotChange, ...]:
        """What became of every plot, by name."""
        head, base = self._entries[Side.HEAD], self._entries.get(Side.BASE, {})
        return tuple(_compare(name, base.get(name), head.get(name)) for name in sorted({*head, *base}))

    def read(self, name: str) -> PlotData | FormatError:
        """What is drawn of a plot; a FormatError where there is nothing that can be."""
        entries = {side: found for side, all_ in self._entries.items() if (found := all_.get(name)) is not None}
        plot = (entries.get(Side.HEAD) or entries[Side.BASE]).plot
        try:
            if _is_picture(name, plot):
                return self._read_pictures(name, plot, entries)
            return self._read_series(name, plot, entries)
        except FormatError as error:
            return error

    def _read_pictures(self, name: str, plot: Plot, entries: Mapping[Side, _Entry]) -> PlotData:
        found: list[tuple[Side, Picture]] = []
        for side in (Side.BASE, Side.HEAD):
            data = self._content[side].read(name).get(name) if side in entries else None
            if isinstance(data, bytes):
                found.append((side, pictures.read_picture(name, data)))
        title = _text(plot.properties.get("title")) or name
        return PlotData(name=name, title=title, shape=Shape.LINEAR, x_label="", y_label="", pictures=tuple(found))

    def _read_series(self, name: str, plot: Plot, entries: Mapping[Side, _Entry]) -> PlotData:
        shape, notes = _choose_shape(plot.properties.get("template"))
        sources = _list_sources(name, plot)
        if len(sources) > MOST_SERIES:
            notes.append(f"{len(sources) - MOST_SERIES:,} more series are not drawn")
        sources = sources[:MOST_SERIES]
        limit = max(_FEWEST_POINTS, _MOST_POINTS // (len(sources) * 2))
        limit = _MOST_COUNTED // len(sources) if shape.is_confusion else limit
        header = plot.properties.get("header") is not False

        @cache  # several series may stand in one file
        def read(side: Side, path: str) -> Rows | None:
            return self._read_file(side, path, limit, header=header)

        tables: list[tuple[Side, _Source, list[_Raw], int]] = []
        for side in (Side.BASE, Side.HEAD):
            if side not in entries:
                continue
            for source in sources:
                rows, x_rows = read(side, source.file), read(side, source.x_file)
                if rows and x_rows:
                    raw = _pick(source, rows, x_rows, counting=shape.is_confusion)
                    tables.append((side, source, raw, rows.total))
        if not tables:
            raise FormatError("holds nothing that can be drawn")
        names = _name_sources(sources)
        series, same = _leave_out_same(_settle(tables, names))
        notes += [f"the same on both sides: {', '.join(same)}"] if same else []
        labels = _label_axes(plot.properties, sources)
        return PlotData(
            name=name,
            title=_text(plot.properties.get("title")) or name,
            shape=shape,
            x_label=labels[0],
            y_label=labels[1],
            series=series,
            notes=(*notes, *_tell_lost(series)),
        )

    def _read_file(self, side: Side, path: str, limit: int, *, header: bool) -> Rows | None:
        """The rows of a file; None where the file is not there, which the list of changes tells."""
        data = self._content[side].read(path).get(path)
        if not isinstance(data, bytes):
            return None
        try:
            return read_rows(path, data, limit=limit, header=header)
        except FormatError as error:
            raise FormatError(error.locate(path)) from None


class _Raw(NamedTuple):
    """x, y and weight of a row as they stand in the file."""

    x: object
    y: object
    weight: float


# --- What is declared -------------------------------------------------------------------------------------------------


def _expand(plot: Plot, content: Content) -> Iterator[tuple[str, Mapping[str, str | Problem]]]:
    """The plots that one declaration stands for, each with its files: a directory has one for every file."""
    files = list(
        dict.fromkeys(file for source in _list_sources(plot.path, plot) for file in (source.file, source.x_file))
    )
    if files != [plot.path]:
        yield plot.path, {file: digest for path in files for file, digest in _hash(content, path).items()}
        return
    for file, digest in _hash(content, plot.path).items():
        yield file, {file: digest}


def _hash(content: Content, path: str) -> Mapping[str, str | Problem]:
    files = content.list_files(path) or (path,)
    return {file: _digest(file, data) for each in files for file, data in content.read(each).items()}


def _digest(path: str, data: bytes | Problem) -> str | Problem:
    if isinstance(data, bytes) and len(data) > MAX_BYTES:  # zeros stand for it, on both sides
        message = f"{path}: is larger than {MAX_BYTES >> 20} MB, and is not compared"
        return Problem(state=State.UNREADABLE, path=path, message=message, hint="write fewer rows")
    return data if isinstance(data, Problem) else hash_bytes(data)


def _compare(name: str, base: _Entry | None, head: _Entry | None) -> PlotChange:
    shown = head or base
    title = _text(shown.plot.properties.get("title")) if shown else ""
    sides = ((Side.BASE, base), (Side.HEAD, head))
    problems = tuple(
        (side, digest)
        for side, entry in sides
        if entry
        for digest in entry.digests.values()
        if isinstance(digest, Problem)
    )
    return PlotChange(name=name, title=title or name, state=_state(base, head, problems), problems=problems)


def _state(base: _Entry | None, head: _Entry | None, problems: tuple[tuple[Side, Problem], ...]) -> State:
    if problems:
        # What the candidate lacks weighs more than what the baseline lacks.
        return next((problem.state for side, problem in problems if side is Side.HEAD), problems[0][1].state)
    if base is None or head is None:
        return State.ADDED if base is None else State.REMOVED
    same = base.digests == head.digests and base.plot.properties == head.plot.properties
    return State.UNCHANGED if same else State.CHANGED


def _is_picture(name: str, plot: Plot) -> bool:
    return name.lower().endswith(pictures.SUFFIXES) and not isinstance(plot.properties.get("y"), dict)


def _choose_shape(template: object) -> tuple[Shape, list[str]]:
    """The shape that a template's name stands for, and what is to be said where that is a repository's own."""
    if template is None:
        return Shape.LINEAR, []
    name = str(template)
    known = {shape.value: shape for shape in Shape}
    if name in known:
        return known[name], []
    stem = posixpath.basename(name).removesuffix(".json")
    near = next((known[key] for key in sorted(known, key=len, reverse=True) if stem.startswith(key)), Shape.LINEAR)
    return near, [f"drawn as {near.value}: the repository's own template {_text(name)} is not run"]


def _list_sources(name: str, plot: Plot) -> list[_Source]:
    """One source for every field of y, as DVC pairs them with x."""
    ys = _list_fields(plot.properties.get("y"), name, plot.directory)
    if not isinstance(x := plot.properties.get("x"), dict):
        field = str(x) if x or isinstance(x, int) else None
        return [_Source(file, y, file, field) for file, y in ys]
    xs = _list_fields(x, name, plot.directory)
    if len(xs) == len(ys):
        return [_Source(file, y, x_file, field) for (file, y), (x_file, field) in zip(ys, xs, strict=True)]
    x_file, field = xs[0] if xs else (name, None)
    return [_Source(file, y, x_file, field) for file, y in ys]


def _list_fields(declared: object, name: str, directory: str) -> list[tuple[str, str | None]]:
    """(file, field) of every field that `x` or `y` names."""
    if isinstance(declared, dict) and declared:
        return [
            (posixpath.normpath(posixpath.join(directory, str(file))), field)
            for file, fields in declared.items()
            for _, field in _list_fields(fields, name, directory)
        ]
    if isinstance(declared, list) and declared:
        return [(name, str(field)) for field in declared]
    return [(name, str(declared) if declared or isinstance(declared, int) else None)]


def _name_sources(sources: list[_Source]) -> dict[_Source, str]:
    """Each source by what tells it apart: its file, its field, or both."""
    files, fields = {source.file for source in sources}, {source.y for source in sources}
    short = shorten_paths(tuple(dict.fromkeys(source.file for source in sources)))
    names: dict[_Source, str] = {}
    for source in sources:
        file = short[source.file] if len(files) > 1 else ""
        field = source.y or "" if len(fields) > 1 else ""
        names[source] = _text(": ".join(part for part in (file, field) if part))
    return names


def _label_axes(properties: Mapping[str, object], sources: list[_Source]) -> tuple[str, str]:
    """The labels that are declared, else the names of the fields where all sources have the same."""
    xs, ys = {source.x for source in sources}, {source.y for source in sources}
    x = _text(properties.get("x_label")) or (_text(next(iter(xs)) or _INDEX) if len(xs) == 1 else "x")
    y = _text(properties.get("y_label")) or (_text(next(iter(ys)) or "") if len(ys) == 1 else "")
    return x, y


# --- What is drawn ----------------------------------------------------------------------------------------------------


def _pick(source: _Source, rows: Rows, x_rows: Rows, *, counting: bool) -> list[_Raw]:
    """x, y and weight of every row."""
    y = source.y or _last_field(rows)
    for field, found, file in ((y, rows, source.file), (source.x, x_rows, source.x_file)):
        if field is not None and not any(field in row for row in found.rows):
            raise FormatError(f"{file}: has no field '{_text(field)}'")
    if rows.total != x_rows.total:
        raise FormatError(f"{source.x_file}: has {x_rows.total:,} rows, and {source.file} has {rows.total:,}")
    step = max(1, rows.total - 1) / max(1, len(rows.rows) - 1)
    xs = [row.get(source.x) for row in x_rows.rows] if source.x else [round(at * step) for at in range(len(rows.rows))]
    weights = _find_weights(rows, {y, source.x or ""}) if counting else None
    return [
        _Raw(x, row.get(y), weights[at] if weights else _NO_WEIGHT)
        for at, (x, row) in enumerate(zip(xs, rows.rows, strict=True))
    ]


def _last_field(rows: Rows) -> str:
    return next(reversed(list(rows.rows[0])), "")


def _find_weights(rows: Rows, classes: set[str]) -> list[float] | None:
    """The counts of rows that were counted already: a third field of whole numbers, and no pair of classes twice."""
    others = [field for field in rows.rows[0] if field not in classes]
    if len(others) != 1:
        return None
    pairs = {tuple(str(row.get(field)) for field in sorted(classes)) for row in rows.rows}
    counts = [_number(row.get(others[0])) for row in rows.rows]
    if len(pairs) != len(rows.rows) or any(count is None or count < 0 or count % 1 for count in counts):
        return None
    return [count for count in counts if count is not None]


def _settle(tables: list[tuple[Side, _Source, list[_Raw], int]], names: Mapping[_Source, str]) -> tuple[Series, ...]:
    """Series whose coordinates are numbers where all of them can be, else names."""
    numeric_x = _are_numbers(raw.x for _, _, rows, _ in tables for raw in rows)
    numeric_y = _are_numbers(raw.y for _, _, rows, _ in tables for raw in rows)
    settled = []
    for side, source, rows, total in tables:
        points: list[tuple[Coordinate, Coordinate, float]] = []
        for raw in rows:
            x, y = _coordinate(raw.x, numeric=numeric_x), _coordinate(raw.y, numeric=numeric_y)
            if x is not None and y is not None:
                points.append((x, y, raw.weight))
        lost = len(rows) - len(points)
        settled.append(Series(side=side, name=names[source], points=tuple(points), total=total, lost=lost))
    if not any(series.points for series in settled):
        raise FormatError("holds no finite number to draw")
    return tuple(settled)


def _are_numbers(values: Iterable[object]) -> bool:
    """Whether there is a number, finite or not, and nothing else but what is missing."""
    found = [value for value in values if value is not None and value != ""]
    return bool(found) and all(_spells_number(value) for value in found)


def _spells_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    try:
        float(value)
    except OverflowError:
        return True
    except ValueError:
        return False
    return True


def _coordinate(value: object, *, numeric: bool) -> Coordinate | None:
    if numeric:
        return _number(value)
    if value is None or isinstance(value, (dict, list)):
        return None
    return _text(value)


def _number(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _leave_out_same(series: tuple[Series, ...]) -> tuple[tuple[Series, ...], list[str]]:
    """The series that differ, and the names of the others; all of them where none differs."""
    points: dict[str, list[object]] = {}
    for one in series:
        points.setdefault(one.name, []).append(one.points)
    same = [name for name, sides in points.items() if len(sides) == 2 and sides[0] == sides[1]]
    if len(same) == len(points):
        return series, []
    return tuple(one for one in series if one.name not in same), same


def _tell_lost(series: tuple[Series, ...]) -> list[str]:
    """What is not drawn of the rows, and why."""
    lost = sum(one.lost for one in series)
    longest = max(series, key=lambda one: one.total)
    drawn = len(longest.points) + longest.lost
    notes = [f"{lost:,} rows hold no finite number and are not drawn"] if lost else []
    if drawn < longest.total:
        notes.append(f"an even sample of {drawn:,} of {longest.total:,} rows")
    return notes


def _text(value: object) -> str:
    """A stranger's word, no longer than a label may be."""
    if value is None or isinstance(value, (dict, list)):
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
