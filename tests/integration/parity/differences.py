"""Where seatrial's answer is not DVC's on purpose: both answers. Each has a row with its reason in the docs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.integration.parity.oracle import Table
from tests.integration.parity.projects import Files

Outcome = Literal["answers", "loses the file", "loses the revision", "crashes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A change, what DVC makes of it, and what seatrial does.

    The tables hold JSON: `{(file, key): (old, new)}`. `problems` are states and texts of what seatrial complains about;
    `links` are symbolic links (path: target) of both sides.
    """

    before: Files
    after: Files
    about: Literal["metrics", "params"] = "metrics"
    outcome: Outcome = "answers"
    dvc: Table = field(default_factory=dict)
    seatrial: Table = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    subproject: str = ""
    links: Mapping[str, str] = field(default_factory=dict)


def _of(
    files: tuple[Files, Files],
    *,
    dvc: Table | None = None,
    seatrial: Table | None = None,
    outcome: Outcome = "answers",
    about: Literal["metrics", "params"] = "metrics",
    problems: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
) -> Difference:
    return Difference(
        before=files[0],
        after=files[1],
        about=about,
        outcome=outcome,
        dvc=dvc or {},
        seatrial=seatrial or {},
        problems=problems or {},
        links=links or {},
    )


def _declare(kind: str, file: str, before: str | bytes, after: str | bytes) -> tuple[Files, Files]:
    return {"dvc.yaml": f"{kind}: ['{file}']\n", file: before}, {file: after}


_A1: Files = {"m.json": '{"a": 1}'}
_A2: Files = {"m.json": '{"a": 2}'}
_A: Table = {("m.json", "a"): ("1", "2")}
_MD5 = "0123456789abcdef0123456789abcdef"

DIFFERENCES: Mapping[str, Difference] = {
    "lists in metrics": _of(
        _declare("metrics", "m.json", '{"a": [1, {"b": 2}], "c": 1}', '{"a": [1, {"b": 3}], "c": 1}'),
        dvc={("m.json", "c"): ("1", "1")},
        seatrial={("m.json", "a.0"): ("1", "1"), ("m.json", "a.1.b"): ("2", "3"), ("m.json", "c"): ("1", "1")},
    ),
    "lists in parameters": _of(
        _declare("params", "p.json", '{"a": [1, 2]}', '{"a": [1, 3]}'),
        about="params",
        dvc={("p.json", "a"): ('"[1, 2]"', '"[1, 3]"')},
        seatrial={("p.json", "a.0"): ("1", "1"), ("p.json", "a.1"): ("2", "3")},
    ),
    "a part of a list in parameters": _of(
        (
            {"dvc.yaml": "stages: {s: {cmd: x, params: [p.json: [a.1]]}}\n", "p.json": '{"a": [1, 2]}'},
            {"p.json": '{"a": [1, 3]}'},
        ),
        about="params",
        dvc={("p.json", "a"): ('"[None, 2]"', '"[None, 3]"')},
        seatrial={("p.json", "a.1"): ("2", "3")},
    ),
    "nulls in metrics": _of(
        _declare("metrics", "m.json", '{"a": null, "b": 1}', '{"a": 1, "b": 1}'),
        dvc={("m.json", "a"): (None, "1"), ("m.json", "b"): ("1", "1")},
        seatrial={("m.json", "a"): ("null", "1"), ("m.json", "b"): ("1", "1")},
    ),
    "a file that is zero": _of(
        _declare("metrics", "auc.metric", "0", "0.5"),
        seatrial={("auc.metric", ""): ("0", "0.5")},
    ),
    "a file that is a list": _of(
        _declare("metrics", "m.json", '[{"a": 1}]', '[{"a": 2}]'),
        seatrial={("m.json", "0.a"): ("1", "2")},
    ),
    "keys that collide": _of(
        _declare("metrics", "m.json", '{"a.b": 1, "a": {"b": 2}}', '{"a.b": 3, "a": {"b": 2}}'),
        outcome="crashes",
        seatrial={("m.json", '"a.b"'): ("1", "3"), ("m.json", "a.b"): ("2", "2")},
    ),
    "a declared key with a dot": _of(
        (
            {"dvc.yaml": "stages: {s: {cmd: x, params: [p.json: [a.b]]}}\n", "p.json": '{"a.b": 1}'},
            {"p.json": '{"a.b": 2}'},
        ),
        about="params",
        seatrial={("p.json", '"a.b"'): ("1", "2")},
    ),
    "dates in parameters": _of(
        _declare("params", "p.yaml", "a: 2001-01-01\nb: 1\n", "a: 2001-01-02\nb: 1\n"),
        about="params",
        outcome="crashes",
        seatrial={("p.yaml", "a"): ('"2001-01-01"', '"2001-01-02"'), ("p.yaml", "b"): ("1", "1")},
    ),
    "dates in metrics": _of(
        _declare("metrics", "m.toml", "a = 2001-01-01\nb = 1\n", "a = 2001-01-02\nb = 1\n"),
        dvc={("m.toml", "b"): ("1", "1")},
        seatrial={("m.toml", "a"): ('"2001-01-01"', '"2001-01-02"'), ("m.toml", "b"): ("1", "1")},
    ),
    "dates among the variables": _of(
        ({"dvc.yaml": "metrics: [m.json]\n", "params.yaml": "day: 2001-01-01\n", **_A1}, _A2),
        outcome="loses the revision",
        seatrial=_A,
    ),
    "python values that are no JSON": _of(
        _declare("params", "p.py", "a = {1, 2}\nb = b'x'\nc = 1+2j\n", "a = {1, 3}\nb = b'y'\nc = 1+3j\n"),
        about="params",
        outcome="crashes",
        seatrial={
            ("p.py", "a.0"): ("1", "1"),
            ("p.py", "a.1"): ("2", "3"),
            ("p.py", "b"): ("\"b'x'\"", "\"b'y'\""),
            ("p.py", "c"): ('"(1+2j)"', '"(1+3j)"'),
        },
    ),
    "keys that are true or null": _of(
        _declare("metrics", "m.yaml", "true: 1\nnull: {x: 1}\n", "true: 2\nnull: {x: 1}\n"),
        dvc={("m.yaml", "true"): ("1", "2"), ("m.yaml", "x"): ("1", "1")},
        seatrial={("m.yaml", "True"): ("1", "2"), ("m.yaml", "None.x"): ("1", "1")},
    ),
    "a byte order mark in json": _of(
        _declare("metrics", "m.json", b'\xef\xbb\xbf{"a": 1}', b'\xef\xbb\xbf{"a": 2}'),
        outcome="loses the file",
        seatrial=_A,
    ),
    "an equals sign in yaml": _of(
        _declare("metrics", "m.yaml", "a: =\nb: 1\n", "a: =\nb: 2\n"),
        outcome="loses the file",
        seatrial={("m.yaml", "a"): ('"="', '"="'), ("m.yaml", "b"): ("1", "2")},
    ),
    "a yaml that says it is 1.1": _of(
        _declare("metrics", "m.yaml", "%YAML 1.1\n---\na: yes\nb: 010\n", "%YAML 1.1\n---\na: no\nb: 011\n"),
        dvc={("m.yaml", "a"): ("true", "false"), ("m.yaml", "b"): ("8", "9")},
        seatrial={("m.yaml", "a"): ('"yes"', '"no"'), ("m.yaml", "b"): ("10", "11")},
    ),
    "a name with several dots": _of(
        _declare("metrics", "m.v2.toml", "a = 1\n", "a = 2\n"),
        dvc={("m.v2.toml", ""): ('"a = 1"', '"a = 2"')},
        seatrial={("m.v2.toml", "a"): ("1", "2")},
    ),
    "a table as metrics": _of(
        _declare("metrics", "m.csv", "a,b\n1,2\n", "a,b\n1,3\n"),
        dvc={("m.csv", ""): ('"a,b 1,2"', '"a,b 1,3"')},
        problems={"m.csv: is a table": "unreadable"},
    ),
    "a metrics file that is not there": _of(
        ({"dvc.yaml": "metrics: [m.json, gone.json]\n", **_A1}, _A2),
        dvc=_A,
        seatrial=_A,
        problems={"gone.json: is declared, but is not there": "missing"},
    ),
    "a metrics file whose bytes are nowhere": _of(
        (
            {
                "dvc.yaml": "stages: {s: {cmd: x, metrics: [c.json]}}\nmetrics: [m.json]\n",
                "dvc.lock": f"schema: '2.0'\nstages: {{s: {{cmd: x, outs: [{{path: c.json, md5: {_MD5}}}]}}}}\n",
                **_A1,
            },
            _A2,
        ),
        dvc=_A,
        seatrial=_A,
        problems={"c.json: is kept in DVC's cache": "missing-cache"},
    ),
    "a metrics file that is broken": _of(
        ({"dvc.yaml": "metrics: [m.json, bad.json]\n", "bad.json": "{", **_A1}, _A2),
        dvc=_A,
        seatrial=_A,
        problems={"bad.json:1: is not JSON": "unreadable"},
    ),
    "a key that is a list": _of(
        _declare("metrics", "m.yaml", "? [x, y]\n: 1\n", "? [x, y]\n: 2\n"),
        outcome="crashes",
        seatrial={("m.yaml", "['x', 'y']"): ("1", "2")},
    ),
    "a path outside of the repository": _of(
        ({"dvc.yaml": "metrics: [m.json, ../../x.json]\n", **_A1}, _A2),
        dvc=_A,
        seatrial=_A,
        problems={"'../../x.json' is not a path in the repository": "unreadable"},
    ),
    "a link to a metrics file": _of(
        ({"dvc.yaml": "metrics: [link.json]\n", **_A1}, _A2),
        outcome="loses the file",
        seatrial={("link.json", "a"): ("1", "2")},
        links={"link.json": "m.json"},
    ),
    "a link that is called yaml": _of(
        ({"dvc.yaml": "metrics: [link.yaml]\n", "m.yaml": "a: 1\n"}, {"m.yaml": "a: 2\n"}),
        dvc={("link.yaml", ""): ('"m.yaml"', '"m.yaml"')},
        seatrial={("link.yaml", "a"): ("1", "2")},
        links={"link.yaml": "m.yaml"},
    ),
    "a link to a directory of metrics": _of(
        ({"dvc.yaml": "metrics: [link/m.json]\n", "real/m.json": '{"a": 1}'}, {"real/m.json": '{"a": 2}'}),
        outcome="loses the file",
        seatrial={("link/m.json", "a"): ("1", "2")},
        links={"link": "real"},
    ),
    "a link to a parameters file": _of(
        ({"dvc.yaml": "params: [link.yaml]\n", "p.yaml": "a: 1\n"}, {"p.yaml": "a: 2\n"}),
        about="params",
        dvc={("link.yaml", ""): ('"p.yaml"', '"p.yaml"')},
        seatrial={("link.yaml", "a"): ("1", "2")},
        links={"link.yaml": "p.yaml"},
    ),
    "a link to a dvc.yaml": _of(
        ({"pipeline": "metrics: [m.json]\n", **_A1}, _A2),
        outcome="loses the revision",
        seatrial=_A,
        links={"dvc.yaml": "pipeline"},
    ),
    "a link out of the repository": _of(
        ({"dvc.yaml": "metrics: [m.json, link.json]\n", **_A1}, _A2),
        dvc=_A,
        seatrial=_A,
        problems={"link.json: leads out of the repository": "unreadable"},
        links={"link.json": "../outside.json"},
    ),
    "a link in a circle": _of(
        ({"dvc.yaml": "metrics: [m.json, link.json]\n", **_A1}, _A2),
        dvc=_A,
        seatrial=_A,
        problems={"link.json: is a symbolic link that leads in a circle": "unreadable"},
        links={"link.json": "link.json"},
    ),
    "a template that leads nowhere": _of(
        ({"dvc.yaml": "stages: {s: {cmd: '${gone}', metrics: [m.json]}}\n", **_A1}, _A2),
        outcome="loses the revision",
        seatrial=_A,
        problems={"could not find 'gone'": "unreadable"},
    ),
    "a template among the variables": _of(
        ({"dvc.yaml": "vars: [{a: 'x${b}', b: 1}]\nmetrics: [m.json]\n", **_A1}, _A2),
        outcome="loses the revision",
        seatrial=_A,
        problems={"a template can't stand in vars": "unreadable"},
    ),
    "variables with two values": _of(
        ({"dvc.yaml": "vars: [{a: 1}, {a: 2}]\nmetrics: [m.json]\n", **_A1}, _A2),
        outcome="loses the revision",
        seatrial=_A,
        problems={"'a' already has a value": "unreadable"},
    ),
    "a pipeline that is broken beside one that is not": _of(
        ({"bad/dvc.yaml": "stages: [\n", "dvc.yaml": "metrics: [m.json]\n", **_A1}, _A2),
        outcome="loses the revision",
        seatrial=_A,
        problems={"bad/dvc.yaml": "unreadable"},
    ),
    "an unknown key in a stage": _of(
        ({"dvc.yaml": "stages: {s: {cmd: x, metrics: [m.json], owner: me}}\n", **_A1}, _A2),
        outcome="loses the revision",
        seatrial=_A,
    ),
    "conflict markers in dvc.lock": _of(
        (
            {
                "dvc.yaml": "stages: {s: {cmd: x, metrics: [m.json: {cache: false}]}}\n",
                "dvc.lock": "<<<<<<< HEAD\nschema: '2.0'\n=======\n>>>>>>> other\n",
                **_A1,
            },
            _A2,
        ),
        outcome="loses the revision",
        seatrial=_A,
        problems={"dvc.lock:1: holds conflict markers of a merge": "unreadable"},
    ),
    "a lock of DVC 1": _of(
        (
            {
                "dvc.yaml": "stages: {s: {cmd: x, metrics: [m.json: {cache: false}]}}\n",
                "dvc.lock": f"s:\n  cmd: x\n  outs:\n  - path: m.json\n    md5: {_MD5}\n",
                **_A1,
            },
            _A2,
        ),
        outcome="loses the revision",
        seatrial=_A,
    ),
    "live of DVC 2": _of(
        ({"dvc.yaml": "stages: {s: {cmd: x, live: {m: {summary: true, html: false}}}}\n", **_A1}, _A2),
        outcome="loses the revision",
        seatrial=_A,
    ),
    "metrics of DVC 0.x": _of(
        (
            {
                "train.dvc": f"cmd: x\nouts:\n- path: auc.metric\n  md5: {_MD5}\n  cache: false\n  metric: true\n",
                "auc.metric": "0.5",
            },
            {"auc.metric": "0.75"},
        ),
        outcome="loses the revision",
        seatrial={("auc.metric", ""): ("0.5", "0.75")},
    ),
    "a store whose plugin is not installed": _of(
        ({"data.dvc": "outs:\n- {path: s3://bucket/data, etag: abc}\n", "dvc.yaml": "metrics: [m.json]\n", **_A1}, _A2),
        outcome="loses the revision",
        seatrial=_A,
    ),
    "projects below a project": Difference(
        before={"dvc.yaml": "metrics: [m.json]\n", "sub/dvc.yaml": "metrics: [n.json]\n", "sub/n.json": "1", **_A1},
        after={"sub/n.json": "2", **_A2},
        dvc=_A,
        seatrial={("m.json", "a"): ("1", "2"), ("sub/n.json", ""): ("1", "2")},
        subproject="sub",
    ),
}
