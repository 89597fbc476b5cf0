"""DVC's templating: `vars`, `${…}`, `foreach` and `matrix`, resolved as DVC resolves them.

A value remembers the file that it comes from, because a value of a `vars` file that a stage makes use of is one of the
project's parameters, declared or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product

from msgspec import Struct, field
from msgspec.structs import replace

from seatrial.core.metrics import Key

MAX_STAGES = 100_000
# Ten thousand stages of fifty values, with commands of a thousand characters, are a small part of it.
MAX_VALUES, MAX_CHARACTERS = 2_000_000, 64 << 20

# One that is not closed on its line is matched up to there, so that no text is searched twice; it is no template.
_TEMPLATE = re.compile(r"(?<!\\)\$\{(?P<inner>[^}\n]*)(?P<closed>\}?)")
_MAX_TEXT = 1 << 20
_EXPRESSION = re.compile(r"[^.\[\]]+(?:\s*\.[^.\[\]]+|\s*\[[^.\[\]]+\])*\s*")


class TemplateError(Exception):
    """A template that can't be resolved; the message says which part of it."""


class Node(Struct, frozen=True):
    """A scalar, a list of nodes or a mapping to nodes, with its place in a file (None: in dvc.yaml itself)."""

    value: object
    file: str | None = None
    path: Key = ()


class Budget(Struct):
    """What may still be resolved: a short loop may stand for any amount of work."""

    values: int = MAX_VALUES
    characters: int = MAX_CHARACTERS

    def take(self, values: int = 0, characters: int = 0) -> None:
        """Spend some of it; TemplateError where that is more than there is."""
        self.values -= values
        self.characters -= characters
        if self.values < 0:
            raise TemplateError(f"templates stand, with others, for more than {MAX_VALUES:,} values")
        if self.characters < 0:
            raise TemplateError(f"templates stand, with others, for more than {MAX_CHARACTERS >> 20} MB of text")


class Scope(Struct, frozen=True):
    """The names that a template may use. `used` collects which values of which files were.

    `files` are those that it holds as a whole, `held` the names of a loop's round. The budget is that of all who
    share it.
    """

    nodes: Mapping[str, Node] = field(default_factory=dict)
    used: dict[str, dict[Key, None]] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    held: Mapping[str, Node] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)

    def extend(self, values: Mapping[object, object], file: str | None, *, whole: bool = False) -> Scope:
        """A scope with the values of one entry of `vars`; TemplateError where a name would get a second value."""
        self.budget.take(values=len(self.nodes))
        added = _Wrapping(file, self.budget).wrap_mapping(values, ())
        files = self.files | {file} if whole and file is not None else self.files
        nodes = _merge({**self.nodes, **self.held}, added, ())
        return Scope(nodes=nodes, used=self.used, files=files, budget=self.budget)

    def hold(self, nodes: Mapping[str, Node]) -> Scope:
        """A scope in which `item` and `key` stand for one round of a loop."""
        return replace(self, held=nodes)

    def forget(self) -> Scope:
        """The same names, where their use makes no parameter: in the data of a loop, and outside of stages."""
        return replace(self, used={})

    def resolve(self, data: object, key: str = "") -> object:
        """`data` with every template in it filled in.

        `key` is the stage's key that it stands under, if any: there a template stands for a scalar, and only `cmd`
        may hold a mapping.
        """
        if isinstance(data, str):
            return self._resolve_text(data, key)
        if isinstance(data, dict):
            self.budget.take(values=len(data))
            return {self.resolve(name, key): self.resolve(value, key) for name, value in data.items()}
        if isinstance(data, list):
            self.budget.take(values=len(data))
            return [self.resolve(value, key) for value in data]
        return data

    def resolve_node(self, data: object) -> Node:
        """The data of a loop, with the origin of what comes from a scope."""
        if isinstance(data, str):
            found = _TEMPLATE.fullmatch(data)
            return self.select(found["inner"]) if found and found["closed"] else Node(self.resolve(data))
        if isinstance(data, (list, dict)):
            self.budget.take(values=len(data))
        if isinstance(data, dict):
            return Node({_text(self.resolve(name)): self.resolve_node(value) for name, value in data.items()})
        if isinstance(data, list):
            return Node([self.resolve_node(value) for value in data])
        return Node(data)

    def select(self, expression: str) -> Node:
        """The node that `a.b[0].c` leads to."""
        steps = _split_expression(expression)
        node = Node(self.held if steps[0] in self.held else self.nodes)
        for step in steps:
            node = _descend(node, step, expression)
        self._note(node)
        return node

    def _note(self, node: Node) -> None:
        if node.file is not None and not isinstance(node.value, dict):
            self.used.setdefault(node.file, {})[node.path] = None

    def _resolve_text(self, text: str, key: str) -> object:
        if "${" not in text:
            return text
        parts = _split_text(text)
        if len(parts) == 3 and not parts[0] and not parts[2]:
            return self._take(parts[1], key)
        filled = list(parts)
        length = 0
        for at in range(1, len(parts), 2):
            filled[at] = self._fill(parts[at], key)
            length += len(filled[at])
            if length > _MAX_TEXT:
                raise TemplateError("a text becomes too long")
        self.budget.take(characters=length)
        return "".join(filled).replace(r"\${", "${")

    def _fill(self, expression: str, key: str) -> str:
        return _text(self._take(expression, key))

    def _take(self, expression: str, key: str) -> object:
        node = self.select(expression)
        _refuse_container(node.value, key)
        return self._unwrap(node)

    def _unwrap(self, node: Node) -> object:
        """The plain value of a node."""
        if isinstance(node.value, dict):
            self.budget.take(values=len(node.value))
            return {name: self._unwrap(child) for name, child in node.value.items()}
        if isinstance(node.value, list):
            self.budget.take(values=len(node.value))
            return [self._unwrap(child) for child in node.value]
        return node.value


class Instance(Struct, frozen=True, kw_only=True):
    """A stage as DVC names it, with its template and the names that the template may use."""

    name: str
    definition: Mapping[object, object]
    scope: Scope


def expand_stage(name: str, definition: Mapping[object, object], scope: Scope) -> Iterator[Instance]:
    """The stages that one entry of `stages` stands for: itself, or one for every round of its loop."""
    if "matrix" in definition:
        template = {key: value for key, value in definition.items() if key != "matrix"}
        yield from _expand_matrix(name, template, scope, scope.forget().resolve_node(definition["matrix"]))
    elif "foreach" in definition:
        body = definition.get("do")
        if not isinstance(body, dict):
            raise TemplateError("'do' is not a mapping")
        yield from _expand_foreach(name, body, scope, scope.forget().resolve_node(definition["foreach"]))
    else:
        yield Instance(name=name, definition=definition, scope=scope)


@lru_cache(maxsize=1 << 12)
def _split_text(text: str) -> tuple[str, ...]:
    """What stands around the templates of a text, and the expressions in them, by turns; a loop asks for it often."""
    parts, done = [], 0
    for found in _TEMPLATE.finditer(text):
        if found["closed"]:
            parts += [text[done : found.start()], found["inner"]]
            done = found.end()
    return (*parts, text[done:])


@lru_cache(maxsize=1 << 12)
def _split_expression(expression: str) -> tuple[str, ...]:
    """The steps of `a.b[0].c`; TemplateError where it is not understood."""
    if not _EXPRESSION.fullmatch(expression):
        raise TemplateError(f"'${{{expression}}}' is not understood")
    return tuple(step.strip() for step in expression.replace("[", ".").replace("]", "").split("."))


def is_template(data: object) -> bool:
    """Whether a text has a template in it."""
    return isinstance(data, str) and any(found["closed"] for found in _TEMPLATE.finditer(data))


def holds_template(data: object) -> bool:
    """Whether there is a template anywhere in some data, keys included."""
    if isinstance(data, dict):
        return any(holds_template(part) for pair in data.items() for part in pair)
    return any(map(holds_template, data)) if isinstance(data, list) else is_template(data)


def _expand_foreach(name: str, template: Mapping[object, object], scope: Scope, items: Node) -> Iterator[Instance]:
    if isinstance(items.value, (list, dict)) and len(items.value) > MAX_STAGES:
        raise TemplateError(f"foreach stands for {len(items.value)} stages; {MAX_STAGES} are the limit")
    if isinstance(items.value, dict):
        for key, item in items.value.items():
            scope.budget.take(values=1)
            held = scope.hold({"item": item, "key": Node(key)})
            yield Instance(name=f"{name}@{key}", definition=template, scope=held)
        return
    if not isinstance(items.value, list):
        raise TemplateError(f"foreach needs a list or a mapping, not {type(items.value).__name__}")
    by_index = any(isinstance(item.value, (list, dict)) for item in items.value)
    named = {str(index) if by_index else _text(item.value): item for index, item in enumerate(items.value)}
    for key, item in named.items():
        scope.budget.take(values=1)
        yield Instance(name=f"{name}@{key}", definition=template, scope=scope.hold({"item": item}))


def _expand_matrix(name: str, template: Mapping[object, object], scope: Scope, axes: Node) -> Iterator[Instance]:
    if not isinstance(axes.value, dict):
        raise TemplateError("matrix needs a mapping to lists")
    choices: list[list[tuple[str, str, Node]]] = []
    rounds = 1
    for axis, values in axes.value.items():
        if not isinstance(values.value, list):
            raise TemplateError(f"matrix.{axis} needs a list, not {type(values.value).__name__}")
        choices.append([(axis, _name_choice(axis, index, node), node) for index, node in enumerate(values.value)])
        rounds *= len(values.value)
    if rounds > MAX_STAGES:
        raise TemplateError(f"matrix stands for {rounds} stages; {MAX_STAGES} are the limit")
    for chosen in product(*choices):
        scope.budget.take(values=1 + len(chosen))
        key = "-".join(fragment for _, fragment, _ in chosen)
        item = Node({axis: node for axis, _, node in chosen})
        held = scope.hold({"item": item, "key": Node(key)})
        yield Instance(name=f"{name}@{key}", definition=template, scope=held)


def _name_choice(axis: str, index: int, node: Node) -> str:
    return f"{axis}{index}" if isinstance(node.value, (list, dict)) else _text(node.value)


class _Wrapping(Struct, frozen=True):
    """Values of a file as nodes, each with its place."""

    file: str | None
    budget: Budget

    def wrap_mapping(self, values: Mapping[object, object], path: Key) -> dict[str, Node]:
        """Nodes by name; a key that is no text can't be named in a template and is left out."""
        self.budget.take(values=len(values))
        return {name: self._wrap(value, (*path, name)) for name, value in values.items() if isinstance(name, str)}

    def _wrap(self, value: object, path: Key) -> Node:
        if isinstance(value, dict):
            return Node(self.wrap_mapping(value, path), self.file, path)
        if isinstance(value, (list, tuple)):
            self.budget.take(values=len(value))
            nodes = [self._wrap(item, (*path, str(index))) for index, item in enumerate(value)]
            return Node(nodes, self.file, path)
        return Node(value, self.file, path)


def _merge(into: dict[str, Node], added: Mapping[str, Node], path: Key) -> dict[str, Node]:
    for name, node in added.items():
        present = into.get(name)
        if present is None:
            into[name] = node
        elif isinstance(present.value, dict) and isinstance(node.value, dict):
            merged = _merge(dict(present.value), node.value, (*path, name))
            into[name] = Node(merged, present.file, present.path)
        else:
            raise TemplateError(f"'{'.'.join((*path, name))}' already has a value, from {present.file or 'vars'}")
    return into


def _descend(node: Node, step: str, expression: str) -> Node:
    if isinstance(node.value, dict) and step in node.value:
        found = node.value[step]
        assert isinstance(found, Node)
        return found
    if isinstance(node.value, list) and step.lstrip("-").isdigit() and -len(node.value) <= int(step) < len(node.value):
        found = node.value[int(step)]
        assert isinstance(found, Node)
        return found
    raise TemplateError(f"could not find '{step}' of '${{{expression}}}'")


def _refuse_container(value: object, key: str) -> None:
    if key and isinstance(value, (list, dict)) and not (key == "cmd" and isinstance(value, dict)):
        raise TemplateError(f"a {'list' if isinstance(value, list) else 'mapping'} can't stand in {key}")


def _text(value: object) -> str:
    """A value inside of a text; booleans as YAML writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
