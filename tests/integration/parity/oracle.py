"""What DVC answers, and what seatrial answers, in one shape, so that the two can be compared."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from seatrial.core.metrics import Key, MetricId, Snapshot, Value

WORKER = Path(__file__).with_name("worker.py")

Table = dict[tuple[str, str], tuple[str | None, str | None]]
"""`{(file, dotted key): (old, new)}`; a value is its JSON, so that `1`, `1.0` and `true` differ. None: no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command of DVC printed, on both channels, and its exit code."""

    code: int
    said: str
    complained: str

    @property
    def failed(self) -> bool:
        """Whether DVC could not read something; its exit code does not tell."""
        return self.code != 0 or "failed to load" in self.complained


class Oracle:
    """A process in which DVC answers one question after the other."""

    def __init__(self, site: Path) -> None:
        environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(site), "CI": "true"}
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, directory: Path, *arguments: str) -> Answer:
        """What `dvc ARGUMENTS` says in a directory."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"directory": str(directory), "arguments": arguments}) + "\n")
        self._process.stdin.flush()
        return Answer(**json.loads(self._process.stdout.readline()))

    def diff(self, directory: Path, what: str, *revisions: str) -> tuple[Table, Answer]:
        """`dvc WHAT diff --all --json` as a table."""
        answer = self.ask(directory, what, "diff", "--all", "--json", *revisions)
        return read_table(answer.said), answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


def read_table(said: str) -> Table:
    """DVC's JSON as a table; DVC writes null both for what is not there and for a null."""
    return {
        (file, key): (_spell_side(change.get("old")), _spell_side(change.get("new")))
        for file, keys in json.loads(said or "{}").items()
        for key, change in keys.items()
    }


def spread_lists(table: Table) -> Table:
    """DVC's table with the lists, which it writes as text, spread by index."""
    sides: tuple[dict[tuple[str, str], str], ...] = ({}, {})
    for (file, key), values in table.items():
        for value, side in zip(values, sides, strict=True):
            leaves = _spread(key, None if value is None else json.loads(value))
            side.update({(file, name): spell(leaf) for name, leaf in leaves})
    return _join(*sides)


def _spell_side(value: object) -> str | None:
    return None if value is None else spell(value)


def tabulate(base: Snapshot, head: Snapshot, what: str) -> Table:
    """Two snapshots as a table, without what DVC leaves out: see docs/reference/dvc-differences.md."""
    chosen = [side.metrics if what == "metrics" else side.params for side in (base, head)]
    base_leaves, head_leaves = (
        {
            (one.path, ".".join(key)): spell(value)
            for one in sets
            for key, value in (_drop_lists(one.values) if what == "metrics" else one.values).items()
            # A null is not told apart from what is not there; a file that is one false value is taken for an empty one.
            if value is not None and (key or value)
        }
        for sets in chosen
    )
    return _join(base_leaves, head_leaves)


def drop_silent(table: Table, answer: Table) -> tuple[Table, int]:
    """A table without the files of which DVC says nothing on one side or on both, and how many those are.

    Only for an answer with which DVC complained: it could not read such a file, and does not say which.
    """
    spoken = {(file, side) for (file, _), values in answer.items() for side in (0, 1) if values[side] is not None}
    silent = {(file, side) for file, _ in table for side in (0, 1)} - spoken
    kept: Table = {}
    for (file, key), values in table.items():
        old, new = (None if (file, side) in silent else values[side] for side in (0, 1))
        if old is not None or new is not None:
            kept[file, key] = (old, new)
    lost = {(file, side) for (file, _), values in table.items() for side in (0, 1) if values[side] is not None} & silent
    return kept, len(lost)


def spell(value: object) -> str:
    """A value as JSON, with the names that Python gives to what is not finite."""
    return json.dumps(value)


def list_all(base: Snapshot, head: Snapshot, what: str) -> Table:
    """Two snapshots as a table, with all that they hold; parts of a key that have a dot are quoted."""
    sides = (
        {
            (one.path, MetricId(file=one.path, key=key).dotted): spell(value)
            for one in (side.metrics if what == "metrics" else side.params)
            for key, value in one.values.items()
        }
        for side in (base, head)
    )
    return _join(*sides)


def _join(base: Mapping[tuple[str, str], str], head: Mapping[tuple[str, str], str]) -> Table:
    return {address: (base.get(address), head.get(address)) for address in {**base, **head}}


def _spread(key: str, value: object) -> Iterator[tuple[str, object]]:
    """The leaves of a value; a parameter that is a list is Python's text of it, and a null is none."""
    if isinstance(value, str) and value.startswith("["):
        with contextlib.suppress(ValueError, SyntaxError):
            value = _read_python(value)
    if isinstance(value, (list, tuple)):
        value = {str(index): item for index, item in enumerate(value)}
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _spread(f"{key}.{name}" if key else str(name), child)
    elif value is not None:
        yield key, value


def _drop_lists(values: Mapping[Key, Value]) -> Mapping[Key, Value]:
    """All leaves that are in no list, which DVC drops from metrics.

    A key of digits alone is taken for a place in a list: no project here has a mapping like that.
    """
    return {key: value for key, value in values.items() if not any(part.isdigit() for part in key)}


def _read_python(text: str) -> object:
    """A value as Python prints it; numbers that are not finite are printed as names."""
    expression = ast.parse(text, mode="eval")
    for node in ast.walk(expression):
        for name, child in ast.iter_fields(node):
            if isinstance(child, ast.Name) and child.id in {"nan", "inf"}:
                setattr(node, name, ast.Constant(float(child.id)))
            elif isinstance(child, list):
                child[:] = [
                    ast.Constant(float(one.id)) if isinstance(one, ast.Name) and one.id in {"nan", "inf"} else one
                    for one in child
                ]
    return ast.literal_eval(expression)
