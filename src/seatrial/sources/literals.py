"""Parameters in a Python file, read without running it: `ast` finds assignments, and only literals count.

As in DVC: names of the module, of classes (as a nested mapping), and `self.name` in `__init__`. What is computed is
left out.
"""

from __future__ import annotations

import ast
import contextlib


def load(text: str) -> dict[str, object]:
    """Names and literal values of a module; SyntaxError or ValueError where it is no Python."""
    return _read_body(ast.parse(text).body, of_self=False)


def _read_body(body: list[ast.stmt], *, of_self: bool) -> dict[str, object]:
    values: dict[str, object] = {}
    for statement in body:
        match statement:
            case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
                name = _name_target(target, of_self=of_self)
                if name is not None:
                    _assign(values, name, value)
            case ast.ClassDef(name=name, body=inner):
                values[name] = _read_body(inner, of_self=False)
            case ast.FunctionDef(name="__init__", body=inner):
                values |= _read_body(inner, of_self=True)
            case _:
                pass
    return values


def _name_target(target: ast.expr, *, of_self: bool) -> str | None:
    match target:
        case ast.Name(id=name) if not of_self:
            return name
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
        case _:
            return None


def _assign(values: dict[str, object], name: str, expression: ast.expr) -> None:
    # What is computed, not written down, DVC leaves out as well.
    with contextlib.suppress(ValueError, TypeError, SyntaxError):
        values[name] = ast.literal_eval(expression)
