"""Where keys stand in a file: YAML, JSON, TOML or Python text → the line of each key.

The keys are spelled as `formats.flatten` spells them, those of containers included. A position only helps a reader to
find the place: a file that can't be read has none, and what is written in a way that is not followed (an alias, an
inline table) has that of what it stands in. Every way of reading is linear in the text and bounded.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

import msgspec

from seatrial.core.metrics import Key
from seatrial.sources import yaml12

MAX_BYTES = 1 << 20
MAX_KEYS = 100_000
_MAX_PYTHON = 1 << 18
_DEEPEST = 30


def find_lines(path: str, data: bytes) -> Mapping[Key, int]:
    """The line (from 1) of every key of a file, the first of several; empty where it can't be told."""
    suffix = path[path.rfind(".") :].lower() if "." in path else ""
    if len(data) > (_MAX_PYTHON if suffix == ".py" else MAX_BYTES):
        return {}
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    find = {".json": _find_json, ".toml": _find_toml, ".py": _find_python}.get(suffix, yaml12.list_keys)
    lines: dict[Key, int] = {}
    try:
        for key, line in find(text):
            if len(lines) >= MAX_KEYS:
                break
            if len(key) <= _DEEPEST:
                lines.setdefault(key, line)
    except (yaml12.YAMLError, msgspec.MsgspecError, SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return lines


_JSON_WORD = re.compile(r'"(?:[^"\\\n]|\\.)*"?|[\[\]{},:\n]|[^\s"\[\]{},:]+')


def _find_json(text: str) -> Iterable[tuple[Key, int]]:
    """The keys of objects and the places in lists; whether the text is sound was told by who read its values."""
    line = 1
    walk = _JSONWalk()
    for match in _JSON_WORD.finditer(text):
        word = match.group()
        if word == "\n":
            line += 1
        elif (key := walk.take(word)) is not None:
            yield key, line
        if walk.depth > 10 * _DEEPEST:
            return  # a key is made of all those above it


class _JSONWalk:
    """Where in a JSON text a reader is: at each level that is open the key, or the place in a list, of what is next."""

    def __init__(self) -> None:
        self._path: list[str | int] = []
        self._waits = False  # whether a text that comes is a key

    @property
    def depth(self) -> int:
        """How many levels are open."""
        return len(self._path)

    def take(self, word: str) -> Key | None:
        """Go past one word; the key of what begins with it, where something does."""
        place = self._path[-1] if self._path else None
        match word:
            case "]" | "}":
                self._path = self._path[:-1]
                self._waits = False
            case "," if isinstance(place, int):
                self._path[-1] = place + 1
            case ",":
                self._waits = place is not None
            case ":":
                pass
            case _ if self._waits and word[0] == '"':
                self._path[-1] = msgspec.json.decode(word, type=str)
                self._waits = False
                return self._spell()
            case _:
                key = self._spell() if isinstance(place, int) else None
                if word in {"[", "{"}:
                    self._path.append(0 if word == "[" else "")
                    self._waits = word == "{"
                return key
        return None

    def _spell(self) -> Key:
        return tuple(map(str, self._path))


# A text that does not end goes to the end, or every quote in it would be tried anew.
_TOML_TEXT = r'"""(?:[^\\]|\\[\s\S])*?(?:"""|\Z)|\'\'\'[\s\S]*?(?:\'\'\'|\Z)|"(?:[^"\\\n]|\\.)*"?|\'[^\'\n]*\'?'
_TOML_KEY = r'(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')'
_TOML_KEYS = rf"{_TOML_KEY}(?:[ \t]*\.[ \t]*{_TOML_KEY})*"
_TOML_TOKEN = re.compile(
    rf"(?P<header>^[ \t]*\[\[?[ \t]*{_TOML_KEYS}[ \t]*\]\]?)|(?P<key>^[ \t]*{_TOML_KEYS}[ \t]*=)"
    rf"|(?P<text>{_TOML_TEXT})|(?P<comment>#[^\n]*)|(?P<open>[\[{{])|(?P<close>[\]}}])",
    re.MULTILINE,
)
_TOML_PART = re.compile(_TOML_KEY)


def _find_toml(text: str) -> Iterable[tuple[Key, int]]:
    """Keys at the start of a line and headers of tables; what stands within a value is passed over."""
    table: Key = ()
    counts: dict[Key, int] = {}
    line, seen, depth, at = 1, 0, 0, 0
    while (match := _TOML_TOKEN.search(text, at)) is not None:
        at = match.end()
        line, seen = line + text.count("\n", seen, match.start()), match.start()
        words = match.group()
        if match["open"] or match["close"]:
            depth = max(0, depth + (1 if match["open"] else -1))
        elif depth and (match["header"] or match["key"]):
            at = match.start() + len(words) - len(words.lstrip()) + 1  # within a list: its brackets count
            depth += words.lstrip()[0] == "["
        elif match["header"]:
            table = _name_table(words, counts)
            yield table, line
        elif match["key"]:
            yield (*table, *_split_toml(words[:-1])), line


def _name_table(header: str, counts: dict[Key, int]) -> Key:
    """`[a.b]` as it is; `[[a.b]]` with its place in the list, which later tables below it belong to."""
    named: Key = ()
    parts = _split_toml(header)
    listed = header.lstrip().startswith("[[")
    for number, part in enumerate(parts, start=1):
        named = (*named, part)
        if listed and number == len(parts):
            counts[named] = counts.get(named, -1) + 1
        if named in counts:
            named = (*named, str(counts[named]))
    return named


def _split_toml(keys: str) -> Key:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in _TOML_PART.findall(keys))


def _find_python(text: str) -> Iterable[tuple[Key, int]]:
    """Names that are assigned, of the module, of classes and of `self`, and the keys of what they are."""
    waiting: list[tuple[Key, ast.AST]] = [((), ast.parse(text))]
    while waiting:
        key, node = waiting.pop()
        if key and isinstance(node, (ast.expr, ast.stmt)):
            yield key, node.lineno
        waiting += [((*key, *name), inner) for name, inner in reversed(list(_list_inner(node)))]


def _list_inner(node: ast.AST) -> Iterable[tuple[Key, ast.AST]]:
    """What has a name within a part of a module, by that name; the line of a value is where its key stands."""
    match node:
        case ast.Module(body=body) | ast.ClassDef(body=body) | ast.FunctionDef(name="__init__", body=body):
            yield from ((_name_statement(statement), statement) for statement in body)
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            yield from _list_inner(value)
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant):
                    yield (str(key.value),), value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            yield from (((str(place),), item) for place, item in enumerate(items))
        case _:
            pass


def _name_statement(statement: ast.stmt) -> Key:
    match statement:
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
            return _name_target(target)
        case ast.ClassDef(name=name):
            return (name,)
        case _:
            return ()


def _name_target(target: ast.expr) -> Key:
    match target:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self"), attr=name):
            return (name,)
        case _:
            return ()
