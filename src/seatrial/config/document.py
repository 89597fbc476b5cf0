"""A YAML file whose every fault is told with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct

from seatrial.errors import ConfigError

if TYPE_CHECKING:
    import yaml

_MOST_BYTES = 1_000_000
_SIXTIES = re.compile(r"[-+]?[0-9_]+(:[0-9_.]+)+")
_DEEPEST = 20
Path = tuple[str | int, ...]
T = TypeVar("T")


class Document(Struct, frozen=True):
    """A YAML file as plain values, with the line of every key."""

    name: str
    value: Any
    lines: Mapping[Path, int]

    @classmethod
    def parse(cls, text: bytes, name: str) -> Document:
        """Read a file; ConfigError if it is no YAML, too large, too deep, or repeats itself."""
        import yaml

        if len(text) > _MOST_BYTES:
            raise ConfigError(f"{name}: is larger than 1 MB", hint="a policy is a short file; is this the right one?")
        try:
            words = text.decode("utf-8-sig")
            _refuse_depth(words, name)
            loader = _choose_loader()(words)
            node = loader.get_single_node()
            lines: dict[Path, int] = {(): 1}
            value = None if node is None else _plain(loader, node, (), lines, name, set())
        except UnicodeDecodeError as error:
            raise ConfigError(f"{name}: is not UTF-8 text ({error.reason} at byte {error.start})") from error
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ConfigError(
                f"{name}:{line}: is not YAML: {error.problem}", hint="check quotes and indents"
            ) from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{name}: is not YAML: {error}") from error
        return cls(name, value, lines)

    def line(self, path: Path) -> int:
        """The line of the innermost known part of a path."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def place(self, path: Path) -> str:
        """Where a path stands, as `seatrial.yaml:7`."""
        return f"{self.name}:{self.line(path)}"

    def fault(self, path: Path, message: str, *, hint: str = "") -> ConfigError:
        """The error for what stands at a path."""
        return ConfigError(f"{self.place(path)}: {message}", hint=hint)

    def convert(self, path: Path, value: Any, kind: type[T]) -> T:
        """Check a value against a struct; a fault is told with the key that it is about."""
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            from seatrial.config.faults import explain

            found = explain(str(error), kind)
            where = ".".join(str(part) for part in (*path, *found.path[: -1 if " key " in found.words else None]))
            raise self.fault((*path, *found.path), f"{where or 'the file'}{found.words}", hint=found.hint) from error


def _choose_loader() -> type[Any]:
    """The loader of libyaml where that is built in, else its twin in Python."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _refuse_depth(words: str, name: str) -> None:
    """Refuse deep nesting before composing: libyaml's composer recurses in C and would end the process."""
    import yaml

    depth = 0
    for event in yaml.parse(words, Loader=_choose_loader()):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise ConfigError(f"{name}: is nested more than {_DEEPEST} levels deep", hint="a policy has few levels")


def _plain(loader: Any, node: yaml.Node, path: Path, lines: dict[Path, int], name: str, seen: set[int]) -> Any:
    """Turn nodes into values, keeping lines; aliases are refused, since a policy must read as it stands."""
    import yaml

    line = node.start_mark.line + 1
    if id(node) in seen:
        raise ConfigError(f"{name}:{line}: is used again by an alias", hint="write the value out where it is meant")
    seen.add(id(node))
    lines.setdefault(path, line)
    if isinstance(node, yaml.MappingNode):
        return _plain_mapping(loader, node, path, lines, name, seen)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, item, (*path, index), lines, name, seen) for index, item in enumerate(node.value)]
    if _SIXTIES.fullmatch(node.value):
        return node.value  # YAML 1.1 would read 1:30 as 90
    try:
        value = loader.construct_object(node)
        str(value)  # a hexadecimal number is read at any length, and only then found too long to be spelled
    # `!!int` alone or with `abc`, `!!timestamp x`, the thirteenth month, a number of 5,000 digits
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise ConfigError(f"{name}:{line}: `{node.value[:40]}` is not the value that it looks like") from None
    # A day is text here, with or without quotes.
    return node.value if isinstance(value, date) else value


def _plain_mapping(
    loader: Any, node: yaml.MappingNode, path: Path, lines: dict[Path, int], name: str, seen: set[int]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = key_node.value, key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise ConfigError(f"{name}:{line}: a key must be text")
        if key in result:
            raise ConfigError(f"{name}:{line}: `{key}` stands twice", hint="keep one of the two")
        here: Path = (*path, key)
        lines[here] = line
        result[key] = _plain(loader, value_node, here, lines, name, seen)
    return result
