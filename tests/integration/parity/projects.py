"""Small projects, one for every thing that DVC reads; each is two sets of files, before a change and after it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Files = Mapping[str, "str | bytes | None"]
Objects = dict[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A project before and after a change.

    `about` says which of DVC's answers may not be empty. `objects` lie in DVC's cache (path below it: content),
    `links` are symbolic links (path: target), `inside` is the directory of the DVC project and of the question.
    """

    before: Files
    after: Files
    about: Literal["metrics", "params", "both"] = "metrics"
    objects: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    inside: str = ""


def _metrics(file: str, before: str | bytes, after: str | bytes) -> Case:
    """A top-level metrics file with another content."""
    return Case(before={"dvc.yaml": f"metrics: ['{file}']\n", file: before}, after={file: after})


def _params(file: str, before: str | bytes, after: str | bytes) -> Case:
    """A top-level parameters file with another content."""
    return Case(before={"dvc.yaml": f"params: ['{file}']\n", file: before}, after={file: after}, about="params")


def _pipeline(text: str, before: Files, after: Files, about: Literal["metrics", "params", "both"] = "metrics") -> Case:
    return Case(before={"dvc.yaml": text, **before}, after=after, about=about)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _store(*contents: bytes, old_layout: bool = False, suffix: str = "") -> Objects:
    """Contents as objects of the cache."""
    top = "" if old_layout else "files/md5/"
    return {f"{top}{(name := _md5(content))[:2]}/{name[2:]}{suffix}": content for content in contents}


def _listing(files: Mapping[str, bytes]) -> bytes:
    """The object of a directory."""
    entries = [{"md5": _md5(content), "relpath": path} for path, content in sorted(files.items())]
    return json.dumps(entries, sort_keys=True).encode()


def _lock(path: str, content: bytes, *, hashed: str = "hash: md5, ", suffix: str = "") -> str:
    out = f"{{path: {path}, {hashed}md5: {_md5(content)}{suffix}, size: {len(content)}}}"
    return f"schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs: [{out}]\n"


_OLD, _NEW = b'{"auc": 0.5, "by": {"AA": 1}}', b'{"auc": 0.625, "by": {"AA": 2, "UA": 3}}'
_OLD_DIR = {"m.json": b'{"a": 1}', "deep/n.yaml": b"b: 2\n"}
_NEW_DIR = {"m.json": b'{"a": 3}', "deep/n.yaml": b"b: 2\n", "o.json": b'{"c": 4}'}
_AUC: Files = {"m.json": '{"auc": 0.5}'}
_BETTER: Files = {"m.json": '{"auc": 0.625}'}

FORMATS = {
    "json": _metrics(
        "m.json",
        '{"auc": 0.5, "by": {"AA": 0.1, "UA": 0.2}, "n": 10, "name": "x", "ok": true, "none": null}',
        '{"auc": 0.625, "by": {"AA": 0.1, "DL": 0.3}, "n": 12, "name": "y", "ok": false, "list": [1, {"a": 2}]}',
    ),
    "yaml 1.2": _metrics(
        "m.yaml",
        "a: 1e-5\nyes: on\nold: 010\nhex: 0x1F\noct: 0o17\nbig: 1_000\nnull: ~\ndot: .5\nsign: +1\n",
        "a: 2e-5\nyes: off\nold: 011\nhex: 0x2F\noct: 0o7\nbig: 1_001\ndot: .5e-3\nsign: -1\ntime: 12:30:45\n",
    ),
    "yaml suffix yml": _metrics("m.yml", "a: {b: 1}\n", "a: {b: 2}\n"),
    "yaml anchors and merges": _metrics(
        "m.yaml",
        "base: &b {lr: 1, depth: 2}\nmore: {<<: *b, lr: 3}\n",
        "base: &b {lr: 1, depth: 4}\nmore: {<<: [*b, {x: 1}], lr: 3}\n",
    ),
    "yaml blocks and quotes": _metrics(
        "m.yaml",
        "text: |\n  two\n  lines\nfold: >-\n  a\n  b\nquoted: '1'\ndouble: \"\\u00e9\\t\"\n",
        "text: |\n  two\n  more\nfold: >-\n  a\n  c\nquoted: '2'\ndouble: \"\\u00e8\\t\"\n",
    ),
    "yaml explicit tags": _metrics(
        "m.yaml", "a: !!str 1\nb: !!float 1\nc: !!int '7'\n", "a: !!str 2\nb: !!float 2\nc: !!int '8'\n"
    ),
    "yaml keys that are no text": _metrics("m.yaml", "-1: 0.5\n2.5: 1\nx: {-3: 1}\n", "-1: 0.6\n2.5: 2\nx: {-3: 2}\n"),
    "yaml document marks": _metrics("m.yaml", "---\na: 1\n...\n", "---\na: 2\n"),
    "toml": _metrics(
        "m.toml",
        "f1 = 0.25\nbig = 1_000\n[inner]\nvalue = 1\nx.y = 2\n",
        "f1 = 0.5\nbig = 1_001\nhex = 0xff\n[inner]\nvalue = 2\nx.y = 3\n",
    ),
    "toml not finite": _metrics("m.toml", "a = inf\nb = 1.0\n", "a = -inf\nb = nan\n"),
    "python": _params(
        "p.py",
        "import os\nlr = 0.1\nname: str = 'a'\nsizes = [1, 2]\nopt = {'a': 1, 'b': {'c': 2}}\nneg = -1\n",
        "import os\nlr = 0.2\nname: str = 'b'\nsizes = [1, 3]\nopt = {'a': 2, 'b': {'c': 2}}\nneg = -2\n",
    ),
    "python classes and self": _params(
        "p.py",
        "class Train:\n    seed = 1\n    class Inner:\n        x = 1\n"
        "    def __init__(self):\n        self.y = 2\n        z = 1\n",
        "class Train:\n    seed = 2\n    class Inner:\n        x = 2\n"
        "    def __init__(self):\n        self.y = 3\n        z = 2\n",
    ),
    "python that computes": _params(
        "p.py",
        "a = 1\nb = a + 1\nc = f()\nd = e = 3\ng, h = 1, 2\na = 5\ni: int\nj += 1\n",
        "a = 1\nb = a + 2\nc = f()\nd = e = 4\ng, h = 1, 3\na = 6\ni: int\nj += 1\n",
    ),
    "python tuples": _params("p.py", "t = (1, 2)\nn = None\nf = True\n", "t = (1, 3)\nn = 1\nf = False\n"),
    "unknown suffix": _metrics("auc.metric", "auc: 0.5\n", "auc: 0.75\n"),
    "no suffix": _metrics("metrics", "auc: 0.5\n", "auc: 0.75\n"),
    "suffix in capitals": _metrics("M.JSON", '{"a": 1}', '{"a": 2}'),
    "one number as a file": _metrics("auc.metric", "0.75\n", "0.5\n"),
    "one text as a file": _metrics("name.metric", "lstm\n", "gru\n"),
    "one boolean as a file": _metrics("ok.json", "true", "1"),
    "byte order mark in yaml": _metrics("m.yaml", b"\xef\xbb\xbfa: 1\n", b"\xef\xbb\xbfa: 2\n"),
    "carriage returns": _metrics("m.yaml", b"a: 1\r\nb:\r\n  c: x\r\n", b"a: 2\r\nb:\r\n  c: y\r\n"),
    "carriage returns in dvc.yaml": Case(
        before={"dvc.yaml": b"metrics:\r\n  - m.json\r\nparams:\r\n  - p.yaml\r\n", "p.yaml": b"x: 1\r\n", **_AUC},
        after={"p.yaml": b"x: 2\r\n", **_BETTER},
        about="both",
    ),
    "big integers": _metrics("m.json", '{"n": 12345678901234567890123}', '{"n": 12345678901234567890124}'),
    "tiny and huge numbers": _metrics(
        "m.json", '{"p": 1.2e-06, "q": 1e308, "z": -0.0}', '{"p": 4.2e-06, "q": 2e-308, "z": 0.0}'
    ),
    "not a number": _metrics("m.json", '{"a": NaN, "b": 1}', '{"a": Infinity, "b": -Infinity}'),
    "not a number in yaml": _metrics("m.yaml", "a: .nan\nb: 1\n", "a: .inf\nb: -.Inf\n"),
    "duplicate keys in json": _metrics("m.json", '{"a": 1, "a": 2}', '{"a": 1, "a": 3}'),
    "dotted keys": _metrics("m.json", '{"a.b": 1, "c": {"d.e": 2}}', '{"a.b": 2, "c": {"d.e": 3}}'),
    "odd keys": _metrics(
        "m.json",
        '{"mAP50-95(B)": 1, "NDCG@5": 2, "ä ö": 3, "": 4, "a|b": 5, "`": 6, "$x": 7}',
        '{"mAP50-95(B)": 2, "NDCG@5": 3, "ä ö": 4, "": 5, "a|b": 6, "`": 7, "$x": 8}',
    ),
    "numbers as text": _metrics("m.json", '{"a": "0.5"}', '{"a": "0.75", "b": "1e3"}'),
    "change of type": _metrics("m.json", '{"a": 1, "b": {"c": 1}, "d": "x"}', '{"a": 1.0, "b": 2, "d": {"e": 1}}'),
    "nothing in common": _metrics("m.json", '{"a": 1}', '{"b": 1}'),
    "empty mapping": _metrics("m.json", '{"a": 1, "b": {}}', '{"a": 2, "b": {"c": {}}}'),
    "file that becomes empty": _metrics("m.yaml", "a: 1\n", ""),
    "list becomes number": _metrics("m.json", '{"a": [1, 2], "b": 1}', '{"a": 3, "b": [1]}'),
    "parameters as lists and nulls": _params(
        "p.yaml", "a: [1, 2]\nb:\nc: {d: [x, {y: 1}]}\n", "a: [1, 2, 3]\nb: 1\nc: {d: [x, {y: 2}]}\ne:\n"
    ),
    "file names with spaces and signs": _metrics("my metrics #1 (b).json", '{"a": 1}', '{"a": 2}'),
    "file names of another script": _metrics("métriques/评估.json", '{"a": 1}', '{"a": 2}'),
}

DECLARATIONS = {
    "stage metrics": _pipeline(
        "stages:\n  a:\n    cmd: x\n    metrics:\n      - m.json:\n          cache: false\n          desc: d\n"
        "          type: t\n          labels: [l]\n          meta: {x: 1}\n          persist: true\n",
        _AUC,
        _BETTER,
    ),
    "stage metrics without properties": _pipeline("stages: {a: {cmd: x, metrics: [m.json]}}\n", _AUC, _BETTER),
    "top-level metrics": _pipeline("metrics: [m.json, sub/n.json]\n", {**_AUC, "sub/n.json": '{"x": 1}'}, _BETTER),
    "top-level metrics in a sub-directory": Case(
        before={"a/b/dvc.yaml": "metrics: [../m.json, c/m.json]\n", "a/m.json": '{"x": 1}', "a/b/c/m.json": '{"y": 1}'},
        after={"a/m.json": '{"x": 2}'},
    ),
    "a directory of metrics": _pipeline(
        "metrics: [reports]\n",
        {"reports/a.json": '{"x": 1}', "reports/deep/b.yaml": "y: 1\n"},
        {"reports/a.json": '{"x": 2}', "reports/c.toml": "z = 1\n"},
    ),
    "a directory that holds DVC's own files": _pipeline(
        "metrics: [sub]\n",
        {"sub/a.json": '{"x": 1}', "sub/dvc.yaml": "stages: {}\n", "sub/d.dvc": "outs: []\n", "sub/.dvcignore": "x\n"},
        {"sub/a.json": '{"x": 2}'},
    ),
    "parameters in a directory": _pipeline(
        "stages: {a: {cmd: x, params: [conf: [x]]}}\nparams: [more]\n",
        {"conf/a.yaml": "x: 1\ny: 1\n", "more/b.json": '{"x": 1}'},
        {"conf/a.yaml": "x: 2\ny: 2\n", "more/c.toml": "x = 1\n"},
        "params",
    ),
    "dvclive": _pipeline(
        "metrics: [dvclive/metrics.json]\nparams: [dvclive/params.yaml]\n"
        "plots:\n  - dvclive/plots/metrics: {x: step}\nartifacts: {model: {path: m.h5, type: model}}\n",
        {
            "dvclive/metrics.json": '{"step": 1, "train": {"loss": 0.5}}',
            "dvclive/params.yaml": "lr: 0.1\n",
            "dvclive/plots/metrics/train/loss.tsv": "step\tloss\n0\t1\n",
        },
        {"dvclive/metrics.json": '{"step": 2, "train": {"loss": 0.25}}', "dvclive/params.yaml": "lr: 0.2\n"},
        "both",
    ),
    "top-level params": _pipeline(
        "params: [p.yaml, sub/q.json]\n", {"p.yaml": "a: 1\n", "sub/q.json": '{"b": 1}'}, {"p.yaml": "a: 2\n"}, "params"
    ),
    "default params": Case(
        before={"dvc.yaml": "stages: {a: {cmd: x, params: [lr]}}\n", "params.yaml": "lr: 1\nother: {x: 1}\n"},
        after={"params.yaml": "lr: 2\nother: {x: 2}\n"},
        about="params",
    ),
    "default params without a pipeline": Case(
        before={"params.yaml": "lr: 1\n"}, after={"params.yaml": "lr: 2\n"}, about="params"
    ),
    "default params of a sub-directory": Case(
        before={
            "sub/dvc.yaml": "stages: {a: {cmd: x, params: [lr, deep.x]}}\n",
            "sub/params.yaml": "lr: 1\nother: 1\ndeep: {x: 1, y: 1}\n",
        },
        after={"sub/params.yaml": "lr: 2\nother: 2\ndeep: {x: 2, y: 2}\n"},
        about="params",
    ),
    "params by file and key": _pipeline(
        "stages: {a: {cmd: x, params: [lr, f.toml: [t.a, t.l], g.py: [T.s, w]]}}\n",
        {
            "params.yaml": "lr: 1\n",
            "f.toml": "[t]\na = 1\nb = 1\nl = [1]\n",
            "g.py": "w = 1\nv = 1\nclass T:\n    s = 1\n",
        },
        {"f.toml": "[t]\na = 2\nb = 2\nl = [2]\n", "g.py": "w = 2\nv = 2\nclass T:\n    s = 2\n"},
        "params",
    ),
    "params of a whole file": _pipeline(
        "stages:\n  a:\n    cmd: x\n    params:\n      - f.json:\n      - g.json: []\n",
        {"f.json": '{"a": {"b": 1}, "c": [1]}', "g.json": '{"a": 1}'},
        {"f.json": '{"a": {"b": 2}, "c": [2]}', "g.json": '{"a": 2}'},
        "params",
    ),
    "params in whole and in part": _pipeline(
        "stages: {a: {cmd: x, params: [f.json: [a]]}, b: {cmd: x, params: [f.json: ]},"
        " c: {cmd: x, params: [f.json: [b]]}}\n",
        {"f.json": '{"a": 1, "b": 1, "c": 1}'},
        {"f.json": '{"a": 2, "b": 2, "c": 2}'},
        "params",
    ),
    "params by pattern": _pipeline(
        "stages: {a: {cmd: x, params: [f.yaml: ['k.*', '*.z', 'l?.a']]}}\n",
        {"f.yaml": "k: {a: {b: 1}, c: 2}\nz: 3\ny: {z: 1, w: 1}\nl1: {a: 1}\nl22: {a: 1}\n"},
        {"f.yaml": "k: {a: {b: 2}, c: 3}\nz: 4\ny: {z: 2, w: 2}\nl1: {a: 2}\nl22: {a: 2}\n"},
        "params",
    ),
    "params that are not there": _pipeline(
        "stages: {a: {cmd: x, params: [f.yaml: [a, gone, a.deeper, b.c.d]]}}\n",
        {"f.yaml": "a: 1\nb: {c: 1}\n"},
        {"f.yaml": "a: 2\nb: {c: {d: 1}}\n"},
        "params",
    ),
    "params in lists": _pipeline(
        "stages: {a: {cmd: x, params: [f.yaml: [a, b.c]]}}\n",
        {"f.yaml": "a: [1, [2]]\nb: {c: [{d: 1}], e: 1}\n"},
        {"f.yaml": "a: [1, [3]]\nb: {c: [{d: 2}], e: 2}\n"},
        "params",
    ),
    "frozen stage": _pipeline(
        "stages: {a: {cmd: x, frozen: true, always_changed: true, desc: d, meta: {m: 1},"
        " metrics: [m.json], params: [lr]}}\n",
        {"params.yaml": "lr: 1\n", **_AUC},
        {"params.yaml": "lr: 2\n", **_BETTER},
        "both",
    ),
    "commands in a list": _pipeline("stages: {a: {cmd: [x, y], metrics: [m.json]}}\n", _AUC, _BETTER),
    "working directory": _pipeline(
        "stages: {a: {cmd: x, wdir: w, params: [lr, ../f.yaml: [k]], metrics: [m.json, ../n.json]}}\n",
        {"w/m.json": '{"a": 1}', "n.json": '{"b": 1}', "w/params.yaml": "lr: 1\nz: 1\n", "f.yaml": "k: 1\nl: 1\n"},
        {"w/m.json": '{"a": 2}', "w/params.yaml": "lr: 2\nz: 2\n", "f.yaml": "k: 2\nl: 2\n"},
        "both",
    ),
    "plots and artifacts beside metrics": _pipeline(
        "stages:\n  a:\n    cmd: x\n    plots:\n"
        "      - p.csv: {x: a, y: b, cache: false, template: linear}\n      - q.json\n"
        "    metrics: [m.json]\nplots:\n  - Two: {x: {p.csv: a}, y: {p.csv: [b, c]}, title: t, x_label: l}\n  - r.png\n"
        "artifacts:\n  best: {path: model.onnx, type: model, desc: d, labels: [l], meta: {k: v}}\n",
        {"p.csv": "a,b\n1,2\n", "q.json": "[]", "r.png": b"\x89PNG", **_AUC},
        _BETTER,
    ),
    "datasets": _pipeline(
        "datasets:\n  - {name: d, type: dvc, url: 'https://example.org/r', path: p, rev: main}\nmetrics: [m.json]\n",
        _AUC,
        _BETTER,
    ),
    "a metric that is a plot as well": _pipeline("metrics: [m.json]\nplots: [m.json]\n", _AUC, _BETTER),
    "metrics declared twice": _pipeline(
        "stages: {a: {cmd: x, metrics: [m.json]}}\nmetrics: [m.json, ./m.json, x/../m.json]\n", _AUC, _BETTER
    ),
    "several pipelines": Case(
        before={f"{name}/dvc.yaml": "metrics: [m.json]\n" for name in "abc"}
        | {f"{name}/m.json": '{"a": 1}' for name in "abc"},
        after={"a/m.json": '{"a": 2}', "b/m.json": None, "c/dvc.yaml": None},
    ),
    "pipeline that comes and one that goes": Case(
        before={"old/dvc.yaml": "metrics: [m.json]\n", "old/m.json": '{"a": 1}'},
        after={"old/dvc.yaml": None, "new/dvc.yaml": "metrics: [m.json]\n", "new/m.json": '{"a": 2}'},
    ),
    "metrics file that moves": Case(
        before={"dvc.yaml": "metrics: [m.json]\n", **_AUC},
        after={"dvc.yaml": "metrics: [reports/m.json]\n", "m.json": None, "reports/m.json": '{"auc": 0.5}'},
    ),
    "metrics file that is not there": _pipeline("metrics: [m.json, gone.json]\n", _AUC, _BETTER),
    "unreadable beside readable": _pipeline(
        "metrics: [m.json, bad.json, bad.yaml]\n",
        {**_AUC, "bad.json": "{", "bad.yaml": "a: [\n"},
        {**_BETTER, "bad.json": '{"a": 1}'},
    ),
    "declared on one side": Case(
        before={"dvc.yaml": "metrics: [m.json]\n", "n.json": '{"x": 1}', **_AUC},
        after={"dvc.yaml": "metrics: [m.json, n.json]\n"},
    ),
    "ignored by .dvcignore": Case(
        before={
            ".dvcignore": "# nothing\n/hidden/\n*.bak\n!kept.bak\n",
            "hidden/dvc.yaml": "metrics: [m.json]\n",
            "hidden/m.json": '{"a": 1}',
            "x.bak/dvc.yaml": "metrics: [m.json]\n",
            "x.bak/m.json": '{"a": 1}',
            "deep/hidden/dvc.yaml": "metrics: [m.json]\n",
            "deep/hidden/m.json": '{"a": 1}',
        },
        after={"hidden/m.json": '{"a": 2}', "deep/hidden/m.json": '{"a": 2}'},
    ),
    "tracked data": Case(
        before={
            "data.csv.dvc": f"outs:\n- md5: {_md5(b'1')}\n  size: 1\n  hash: md5\n  path: data.csv\n",
            "dvc.yaml": "metrics: [m.json]\n",
            **_AUC,
        },
        after={"data.csv.dvc": f"outs:\n- md5: {_md5(b'2')}\n  size: 1\n  hash: md5\n  path: data.csv\n", **_BETTER},
    ),
    "a project in a sub-directory": Case(
        before={
            "sub/dvc.yaml": "stages: {a: {cmd: x, params: [lr], metrics: [m.json]}}\n",
            "sub/m.json": '{"a": 1}',
            "sub/params.yaml": "lr: 1\nother: 1\n",
        },
        after={"sub/m.json": '{"a": 2}', "sub/params.yaml": "lr: 2\nother: 2\n"},
        about="both",
        inside="sub",
    ),
}

CACHED = {
    "cached metrics": Case(
        before={"dvc.yaml": "stages: {train: {cmd: x, metrics: [m.json]}}\n", "dvc.lock": _lock("m.json", _OLD)},
        after={"dvc.lock": _lock("m.json", _NEW)},
        objects=_store(_OLD, _NEW),
    ),
    "a directory with ignored files": Case(
        before={
            "dvc.yaml": "metrics: [d]\n",
            ".dvcignore": "hidden.json\n/d/below\n",
            "d/seen.json": _OLD,
            "d/hidden.json": _OLD,
            "d/below/m.json": _OLD,
        },
        after={"d/seen.json": _NEW, "d/hidden.json": _NEW, "d/below/m.json": _NEW},
    ),
    "an ignored file that is named": Case(
        before={"dvc.yaml": "metrics: [d/m.json]\n", ".dvcignore": "m.json\n", "d/m.json": _OLD},
        after={"d/m.json": _NEW},
    ),
    "a renamed file": Case(
        before={"dvc.yaml": "metrics: [old.json]\n", "old.json": _OLD},
        after={"dvc.yaml": "metrics: [new.json]\n", "old.json": None, "new.json": _NEW},
    ),
    "cached metrics of DVC 2": Case(
        before={
            "dvc.yaml": "stages: {train: {cmd: x, metrics: [m.json]}}\n",
            "dvc.lock": _lock("m.json", _OLD, hashed=""),
        },
        after={"dvc.lock": _lock("m.json", _NEW, hashed="")},
        objects=_store(_OLD, _NEW, old_layout=True),
    ),
    "from the cache of DVC 2 to that of DVC 3": Case(
        before={
            "dvc.yaml": "stages: {train: {cmd: x, metrics: [m.json]}}\n",
            "dvc.lock": _lock("m.json", _OLD, hashed=""),
        },
        after={"dvc.lock": _lock("m.json", _NEW)},
        objects=_store(_OLD, old_layout=True) | _store(_NEW),
    ),
    "cached directory of metrics": Case(
        before={
            "dvc.yaml": "stages: {train: {cmd: x, metrics: [out]}}\n",
            "dvc.lock": _lock("out", _listing(_OLD_DIR), suffix=".dir"),
        },
        after={"dvc.lock": _lock("out", _listing(_NEW_DIR), suffix=".dir")},
        objects=_store(*_OLD_DIR.values(), *_NEW_DIR.values())
        | _store(_listing(_OLD_DIR), _listing(_NEW_DIR), suffix=".dir"),
    ),
    "metrics in a cached directory": Case(
        before={
            "dvc.yaml": "stages: {train: {cmd: x, outs: [out]}}\nmetrics: [out/m.json, out/deep]\n",
            "dvc.lock": _lock("out", _listing(_OLD_DIR), suffix=".dir"),
        },
        after={"dvc.lock": _lock("out", _listing(_NEW_DIR), suffix=".dir")},
        objects=_store(*_OLD_DIR.values(), *_NEW_DIR.values())
        | _store(_listing(_OLD_DIR), _listing(_NEW_DIR), suffix=".dir"),
    ),
    "metrics tracked by a .dvc file": Case(
        before={
            "dvc.yaml": "metrics: [m.json]\n",
            "m.json.dvc": f"outs: [{{md5: {_md5(_OLD)}, size: 1, hash: md5, path: m.json}}]\n",
        },
        after={"m.json.dvc": f"outs: [{{md5: {_md5(_NEW)}, size: 1, hash: md5, path: m.json}}]\n"},
        objects=_store(_OLD, _NEW),
    ),
    "parameters in the cache": Case(
        before={
            "dvc.yaml": "stages: {train: {cmd: x, outs: [p.json]}, use: {cmd: x, params: [p.json: [auc]]}}\n",
            "dvc.lock": _lock("p.json", _OLD),
        },
        after={"dvc.lock": _lock("p.json", _NEW)},
        about="params",
        objects=_store(_OLD, _NEW),
    ),
    "from git to the cache": Case(
        before={"dvc.yaml": "stages: {train: {cmd: x, metrics: [m.json: {cache: false}]}}\n", "m.json": _OLD},
        after={
            "dvc.yaml": "stages: {train: {cmd: x, metrics: [m.json]}}\n",
            "dvc.lock": _lock("m.json", _NEW),
            "m.json": None,
        },
        objects=_store(_OLD, _NEW),
    ),
    "one object missing": Case(
        before={"dvc.yaml": "stages: {train: {cmd: x, metrics: [m.json]}}\n", "dvc.lock": _lock("m.json", _OLD)},
        after={"dvc.lock": _lock("m.json", _NEW)},
        objects=_store(_NEW),
    ),
    "a directory of files of git and of the cache": Case(
        before={
            "dvc.yaml": "stages: {train: {cmd: x, outs: [r/deep/m.json]}}\nmetrics: [r]\n",
            "dvc.lock": _lock("r/deep/m.json", _OLD),
            "r/g.json": '{"g": 1}',
        },
        after={"dvc.lock": _lock("r/deep/m.json", _NEW), "r/g.json": '{"g": 2}'},
        objects=_store(_OLD, _NEW),
    ),
    "a cached file in git as well": Case(
        before={
            "dvc.yaml": "stages: {train: {cmd: x, metrics: [m.json]}}\n",
            "dvc.lock": _lock("m.json", _OLD),
            "m.json": '{"auc": 7}',
        },
        after={"dvc.lock": _lock("m.json", _NEW), "m.json": '{"auc": 8}'},
        objects=_store(_OLD, _NEW),
    ),
    "cached metrics of a loop in a working directory": Case(
        before={
            "dvc.yaml": "stages: {train: {foreach: [a], do: {cmd: x, wdir: w, metrics: ['${item}.json']}}}\n",
            "dvc.lock": _lock("a.json", _OLD).replace("train:", "train@a:"),
        },
        after={"dvc.lock": _lock("a.json", _NEW).replace("train:", "train@a:")},
        objects=_store(_OLD, _NEW),
    ),
    "a shared cache by config": Case(
        before={
            ".dvc/config": "[core]\n    analytics = false\n[cache]\n    dir = ../../elsewhere\n",
            "dvc.yaml": "stages: {train: {cmd: x, metrics: [m.json]}}\n",
            "dvc.lock": _lock("m.json", _OLD),
        },
        after={"dvc.lock": _lock("m.json", _NEW)},
        objects={f"../../../elsewhere/{path}": content for path, content in _store(_OLD, _NEW).items()},
    ),
}

TEMPLATES = {
    "vars inline": _pipeline(
        "vars: [{dir: out, n: 3}]\nstages: {a: {cmd: x, metrics: ['${dir}/m${n}.json']}}\n",
        {"out/m3.json": '{"a": 1}'},
        {"out/m3.json": '{"a": 2}'},
    ),
    "vars from files": _pipeline(
        "vars: [v.yaml, w.toml, u.json, t.py]\n"
        "stages: {a: {cmd: 'x ${a} ${b.c} ${d[0]} ${E.f}', metrics: ['${a}.json']}}\n",
        {"v.yaml": "a: m\nz: 1\n", "w.toml": "[b]\nc = 1\n", "u.json": '{"d": [1, 2]}', "t.py": "class E:\n    f = 1\n"}
        | {"m.json": '{"a": 1}'},
        {"w.toml": "[b]\nc = 2\n", "u.json": '{"d": [3, 2]}', "t.py": "class E:\n    f = 2\n", "m.json": '{"a": 2}'},
        "both",
    ),
    "vars by key": _pipeline(
        "vars: ['v.yaml:a,b', 'v.yaml:c']\nstages: {s: {cmd: 'x ${a.x} ${b} ${c}', metrics: [m.json]}}\n",
        {"v.yaml": "a: {x: 1, y: 1}\nb: 1\nc: 1\nd: 1\n", **_AUC},
        {"v.yaml": "a: {x: 2, y: 2}\nb: 2\nc: 2\nd: 2\n", **_BETTER},
        "both",
    ),
    "vars of a stage": _pipeline(
        "stages: {s: {cmd: 'x ${a} ${b}', wdir: w, vars: [{a: 1}, v.yaml], metrics: ['m${a}.json']}}\n",
        {"w/v.yaml": "b: 1\nc: 1\n", "w/m1.json": '{"a": 1}'},
        {"w/v.yaml": "b: 2\nc: 2\n", "w/m1.json": '{"a": 2}'},
        "both",
    ),
    "vars that merge": _pipeline(
        "vars: [{a: {b: m}}, {a: {c: json}}, v.yaml]\nstages: {s: {cmd: 'x ${a.d}', metrics: ['${a.b}.${a.c}']}}\n",
        {"v.yaml": "a: {d: 1}\n", **_AUC},
        {"v.yaml": "a: {d: 2}\n", **_BETTER},
        "both",
    ),
    "default params as vars": Case(
        before={
            "sub/dvc.yaml": "stages: {s: {cmd: 'x ${lr}', metrics: ['${name}.json']}}\n",
            "sub/params.yaml": "lr: 1\nname: m\nunused: 1\n",
            "sub/m.json": '{"a": 1}',
        },
        after={"sub/params.yaml": "lr: 2\nname: m\nunused: 2\n"},
        about="both",
    ),
    "nested access and lists": _pipeline(
        "vars: [{a: {b: [{c: m}, [n, o]], 'd e': p}}]\n"
        "metrics: ['${a.b[0].c}.json', '${a.b.1.0}.json', '${ a.b[1][1] }.json', '${a[d e]}.json']\n",
        {f"{name}.json": '{"a": 1}' for name in "mnop"},
        {f"{name}.json": '{"a": 2}' for name in "mnop"},
    ),
    "escaped templates": _pipeline(
        r"stages: {s: {cmd: 'x \${HOME} $y', metrics: ['\${a}.json']}}" + "\n",
        {"${a}.json": '{"a": 1}'},
        {"${a}.json": '{"a": 2}'},
    ),
    "values inside of text": _pipeline(
        "vars: [{t: true, f: 0.5, i: 1, n: null}]\nmetrics: ['${t}-${f}-${i}-${n}.json']\n",
        {"true-0.5-1-None.json": '{"a": 1}'},
        {"true-0.5-1-None.json": '{"a": 2}'},
    ),
    "foreach over a list": _pipeline(
        "stages:\n  s:\n    foreach: [a, 1, true, 0.5]\n    do: {cmd: 'x ${item}', metrics: ['${item}.json']}\n",
        {f"{name}.json": '{"a": 1}' for name in ("a", "1", "true", "0.5")},
        {"a.json": '{"a": 2}', "true.json": '{"a": 2}'},
    ),
    "foreach over mappings": _pipeline(
        "stages:\n  s:\n    foreach: [{n: a, l: [1]}, {n: b, l: [2]}]\n"
        "    do: {cmd: 'x ${item.l[0]}', metrics: ['${item.n}.json']}\n",
        {"a.json": '{"a": 1}', "b.json": '{"b": 1}'},
        {"a.json": '{"a": 2}'},
    ),
    "foreach over a mapping": _pipeline(
        "stages:\n  s:\n    foreach: {us: {e: 1}, gb: {e: 2}}\n"
        "    do: {cmd: 'x ${item.e}', params: ['${key}.rate'], metrics: ['${key}/${item.e}.json']}\n",
        {"us/1.json": '{"a": 1}', "gb/2.json": '{"a": 1}', "params.yaml": "us: {rate: 1}\ngb: {rate: 1}\n"},
        {"us/1.json": '{"a": 2}', "params.yaml": "us: {rate: 2}\ngb: {rate: 1}\n"},
        "both",
    ),
    "foreach over a template": _pipeline(
        "vars: [v.yaml]\nstages:\n  s:\n    foreach: ${sets}\n"
        "    do: {cmd: 'x ${item.r}', metrics: ['${key}.json']}\n  t:\n    foreach: ${names}\n"
        "    do: {cmd: 'x ${item}', metrics: ['${item}.json']}\n",
        {"v.yaml": "sets: {a: {r: 1}, b: {r: 2}}\nnames: [c, d]\n"} | {f"{n}.json": '{"a": 1}' for n in "abcde"},
        {"v.yaml": "sets: {a: {r: 3}, b: {r: 2}}\nnames: [c, e]\n", "a.json": '{"a": 2}', "e.json": '{"a": 3}'},
        "both",
    ),
    "foreach with templates inside": _pipeline(
        "vars: [v.yaml]\nstages:\n  s:\n    foreach: ['${a}', 'x-${b}', {k: '${c}'}]\n"
        "    do: {cmd: 'x', metrics: ['s.json']}\n  t:\n    foreach: {p: '${a}', q: '${d}'}\n"
        "    do: {cmd: 'x ${item}', metrics: ['${key}.json']}\n",
        {"v.yaml": "a: 1\nb: 1\nc: 1\nd: 1\ne: 1\n"} | {f"{n}.json": '{"a": 1}' for n in "spq"},
        {"v.yaml": "a: 2\nb: 2\nc: 2\nd: 2\ne: 2\n"} | {f"{n}.json": '{"a": 2}' for n in "spq"},
        "both",
    ),
    "a loop whose list nobody uses": _pipeline(
        "vars: [v.yaml]\nstages:\n  s:\n    foreach: ${names}\n    do: {cmd: x, metrics: ['m.json']}\n",
        {"v.yaml": "names: [c, d]\n", **_AUC},
        {"v.yaml": "names: [c, e]\n", **_BETTER},
    ),
    "matrix": _pipeline(
        "vars: [{models: [a, b]}]\nstages:\n  s:\n    matrix: {m: '${models}', n: [1, 2], o: [{x: 1}, {x: 2}]}\n"
        "    cmd: x ${key}\n    metrics: ['${item.m}-${item.n}-${item.o.x}.json']\n",
        {f"{m}-{n}-{o}.json": f'{{"a": {n}{o}}}' for m in "ab" for n in "12" for o in "12"},
        {"a-1-2.json": '{"a": 0}', "b-2-2.json": None},
    ),
    "matrix of vars files": _pipeline(
        "vars: [v.yaml]\nstages:\n  s:\n    matrix: {m: '${models}', n: ['${one}', 2]}\n"
        "    cmd: x ${item.m.d}\n    metrics: ['${item.m.n}-${item.n}.json']\n",
        {"v.yaml": "models: [{n: a, d: 1}, {n: b, d: 2}]\none: 1\n"}
        | {f"{m}-{n}.json": '{"a": 1}' for m in "ab" for n in "12"},
        {"v.yaml": "models: [{n: a, d: 3}, {n: b, d: 2}]\none: 1\n", "a-1.json": '{"a": 2}'},
        "both",
    ),
    "a mapping in the command": _pipeline(
        "vars: [v.yaml]\nstages: {s: {cmd: 'x ${a}', metrics: [m.json]}}\n",
        {"v.yaml": "a: {b: 1, c: {d: true}, e: [1, 2]}\n", **_AUC},
        {"v.yaml": "a: {b: 2, c: {d: false}, e: [1, 3]}\n", **_BETTER},
    ),
    "templates at the top level": _pipeline(
        "vars: [v.yaml]\nmetrics: ['${d}/m.json']\nparams: ['${d}/p.yaml']\nplots: ['${d}/x.csv']\n"
        "artifacts: {m: {path: '${d}/m.onnx', type: model}}\n",
        {"v.yaml": "d: out\n", "out/m.json": '{"a": 1}', "out/p.yaml": "a: 1\n"},
        {"out/m.json": '{"a": 2}', "out/p.yaml": "a: 2\n"},
        "both",
    ),
    "templates in params": _pipeline(
        "vars: [{f: p.json, k: a, g: q}]\nstages: {s: {cmd: x, params: ['${k}', '${f}': ['${k}.b'], '${g}.json': ]}}\n",
        {"params.yaml": "a: 1\n", "p.json": '{"a": {"b": 1, "c": 1}}', "q.json": '{"z": 1}'},
        {"params.yaml": "a: 2\n", "p.json": '{"a": {"b": 2, "c": 2}}', "q.json": '{"z": 2}'},
        "params",
    ),
    "templates in the working directory": _pipeline(
        "vars: [{d: w}]\nstages:\n  s:\n    foreach: [a, b]\n    do:\n      cmd: x\n      wdir: ${d}/${item}\n"
        "      params: [lr]\n      metrics: [m.json]\n",
        {f"w/{n}/{f}": t for n in "ab" for f, t in (("m.json", '{"a": 1}'), ("params.yaml", "lr: 1\nx: 1\n"))},
        {"w/a/m.json": '{"a": 2}', "w/b/params.yaml": "lr: 2\nx: 2\n"},
        "both",
    ),
    "names that shadow item and key": _pipeline(
        "vars: [{item: x, key: y}]\nstages:\n  s:\n    foreach: [a]\n"
        "    do: {cmd: x, metrics: ['${item}-${key}.json']}\n"
        "  t: {cmd: x, metrics: ['${item}.json']}\n",
        {"a-y.json": '{"a": 1}', "x.json": '{"a": 1}'},
        {"a-y.json": '{"a": 2}', "x.json": '{"a": 2}'},
    ),
    "vars that change": _pipeline(
        "vars: [v.yaml]\nmetrics: ['${f}.json']\n",
        {"v.yaml": "f: m\n", "n.json": '{"b": 1}', **_AUC},
        {"v.yaml": "f: n\n"},
    ),
    "vars named again by a stage": _pipeline(
        "vars: [v.yaml]\nstages:\n  a: {cmd: 'x ${b}', vars: [v.yaml, 'u.yaml:c'], metrics: ['${c}.json']}\n"
        "  b: {cmd: 'x ${own}', wdir: w, vars: [params.yaml], metrics: [n.json]}\n",
        {"v.yaml": "b: 1\n", "u.yaml": "c: m\n", "w/params.yaml": "own: 1\n", "w/n.json": '{"x": 1}', **_AUC},
        {"v.yaml": "b: 2\n", "w/params.yaml": "own: 2\n", "w/n.json": '{"x": 2}', **_BETTER},
        "both",
    ),
    "a vars file that is a parameters file": _pipeline(
        "vars: [v.yaml]\nstages: {s: {cmd: 'x ${a}', params: [v.yaml: [b]], metrics: [m.json]}}\n",
        {"v.yaml": "a: 1\nb: 1\n", **_AUC},
        {"v.yaml": "a: 2\nb: 2\n", **_BETTER},
        "both",
    ),
}

PROJECTS: Mapping[str, Case] = {**FORMATS, **DECLARATIONS, **CACHED, **TEMPLATES}
