"""What msgspec finds wrong with a value, in the words of who wrote the file, with what would mend it."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

Path = tuple[str | int, ...]
_AT = re.compile(r" - at `(?:key`? in `?)?\$(?P<path>.*)`$")
_STEP = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+)\]")
_UNKNOWN = re.compile(r"unknown field `(?P<name>.*)`")
_MISSING = re.compile(r"missing required field `(?P<name>.*)`")
_NO_CHOICE = re.compile(r"Invalid enum value (?P<value>.*)")
_KINDS = re.compile(r"`(?P<kinds>[a-z |]+)`")
_WORDS = {
    "object": "a mapping",
    "array": "a list",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}


class Fault(Struct, frozen=True, kw_only=True):
    """A fault: where within the value, what is wrong there (to follow the place's name), and what to do."""

    path: Path
    words: str
    hint: str = ""


class _Kind(Struct, frozen=True):
    """A type without its annotation, and what the annotation says of it."""

    bare: Any
    description: str = ""

    @property
    def fields(self) -> tuple[FieldInfo, ...]:
        """Those of a struct, none of anything else."""
        is_struct = isinstance(self.bare, type) and issubclass(self.bare, Struct)
        return msgspec.structs.fields(self.bare) if is_struct else ()


def explain(message: str, kind: Any) -> Fault:
    """What a message of `msgspec.convert` says of a value that should have been of a kind."""
    found = _AT.search(message)
    words = _AT.sub("", message)
    path = _read_path(found["path"]) if found else ()
    here = list(_walk(kind, path))
    if unknown := _UNKNOWN.search(words):
        name, known = unknown["name"], [field.encode_name for each in here for field in each.fields]
        hint = suggest(name, known, f"known keys: {', '.join(known)}" if known else "")
        return Fault(path=(*path, name), words=f" has no key `{name}`", hint=hint)
    if missing := _MISSING.search(words):
        name = missing["name"]
        return Fault(path=path, words=f" needs `{name}`", hint=_describe(_walk(kind, (*path, name))))
    if wrong := _NO_CHOICE.search(words):
        return Fault(path=path, words=f" can't be {wrong['value']}", hint=_list_choices(here, wrong["value"]))
    told = "is not of this form" if "matching regex" in words else _KINDS.sub(_spell_kinds, words)
    return Fault(path=path, words=f": {told[0].lower()}{told[1:]}", hint=_describe(here))


def suggest(name: str, known: Iterable[str], otherwise: str) -> str:
    """The hint for a name that is none of those known: the nearest of them, or what to say where none is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else otherwise


def _read_path(text: str) -> Path:
    """`.waivers[0].until` as keys and places; what can't be told (`[...]`) ends it."""
    steps = _STEP.finditer(text.partition("[...]")[0])
    return tuple(step["key"] if step["index"] is None else int(step["index"]) for step in steps)


def _walk(kind: Any, path: Path, description: str = "") -> Iterator[_Kind]:
    """The types that may stand at a path within a type."""
    for each in _split(kind, description):
        if not path:
            yield each
        elif isinstance(path[0], str):
            for field in each.fields:
                if field.encode_name == path[0]:
                    yield from _walk(field.type, path[1:])
        elif get_origin(each.bare) in {tuple, list}:
            yield from _walk(get_args(each.bare)[0], path[1:], each.description)


def _split(kind: Any, description: str = "") -> Iterator[_Kind]:
    """The members of a union, each with the annotation of the whole where it has none of its own."""
    if get_origin(kind) is Annotated:
        bare, *notes = get_args(kind)
        told = next((note.description for note in notes if isinstance(note, msgspec.Meta) and note.description), "")
        yield from _split(bare, told or description)
    elif get_origin(kind) in {Union, types.UnionType}:
        for member in get_args(kind):
            yield from _split(member, description)
    else:
        yield _Kind(kind, description)


def _describe(kinds: Iterable[_Kind]) -> str:
    """What the policy's schema says of a place, as a hint: a sentence without its full stop."""
    told = next((kind.description for kind in kinds if kind.description), "")
    return f"{told[:1].lower()}{told[1:]}".removesuffix(".")


def _list_choices(kinds: Iterable[_Kind], value: str) -> str:
    choices = [str(choice) for kind in kinds if get_origin(kind.bare) is Literal for choice in get_args(kind.bare)]
    return suggest(value.strip("'"), choices, f"write {' or '.join(choices)}" if choices else "")


def _spell_kinds(found: re.Match[str]) -> str:
    kinds = found["kinds"].split(" | ")
    told = ["a number" if kind == "int" and "float" in kinds else _WORDS.get(kind, kind) for kind in kinds]
    return " or ".join(dict.fromkeys(told))
