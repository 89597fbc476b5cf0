"""What a stranger's change may hold: each case ends by itself, in little memory, and says why."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.repositories import Answer, Scratch

# A safety net, not a measure: it is to end a hang, on a machine that is busy.
SECONDS = 60
MEGABYTES = 500

# The child is started by a small process of its own: its peak would else begin with that of the test run.
_LIMITED = f"""
import resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
done = subprocess.run([sys.executable, "-m", "seatrial", *sys.argv[1:]], timeout={SECONDS})
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10, done.returncode, file=sys.stderr)
"""

Setup = Callable[[Scratch], None]


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """A repository with one harmless measurement."""
    scratch = Scratch.create(tmp_path / "project")
    scratch.measure(recall=0.1)
    return scratch


def compare_limited(scratch: Scratch, *arguments: str) -> Answer:
    """Compare within the limits of time and memory; neither a hang nor a defect is an answer."""
    command = [sys.executable, "-c", _LIMITED, "compare", *arguments, "--format", "json"]
    done = subprocess.run(command, cwd=scratch.directory, capture_output=True, check=False)
    said = done.stderr.decode(errors="replace").strip().split("\n")
    assert "TimeoutExpired" not in said[-1]
    megabytes, code = map(int, said[-1].split())
    assert megabytes < MEGABYTES
    assert code in {0, 1, 2, 3}, said[-3:]
    return Answer(code=code, out=done.stdout.decode(), err="\n".join(said[:-1]))


def write(name: str, content: str | bytes, declared: bool = False) -> Setup:
    """A case of one file; where it is a metrics file of its own, `dvc.yaml` declares it."""

    def setup(scratch: Scratch) -> None:
        scratch.write({name: content})
        if declared:
            scratch.write({"dvc.yaml": f"metrics: [{name}]\n"})

    return setup


def bomb(levels: int, width: int) -> str:
    """Aliases of aliases: `width` to the power of `levels` values."""
    line = ", ".join
    return "a0: &a0 x\n" + "".join(
        f"a{level}: &a{level} [{line([f'*a{level - 1}'] * width)}]\n" for level in range(1, levels + 1)
    )


METRICS: dict[str, Setup] = {
    "alias bomb": write("m.yaml", bomb(9, 10), declared=True),
    "flood of values in json": write("m.json", b"[" + b"[]," * 15_000_000 + b"1]", declared=True),
    "100 MB of json": write("m.json", b"[" + b"1," * 50_000_000 + b"1]", declared=True),
    "a million numbers": write("m.json", b"[" + b"1," * 999_999 + b"1]", declared=True),
    "deep json": write("m.json", "[" * 100_000, declared=True),
    "deep json objects": write("m.json", '{"a":' * 100_000, declared=True),
    "deep yaml": write("m.yaml", "[" * 100_000, declared=True),
    "deep yaml blocks": write("m.yaml", "- " * 100_000, declared=True),
    "flood of yaml blocks": write("m.yaml", ("- " * 100 + "1\n") * 90_000, declared=True),
    "flood of yaml in flow style": write("m.yaml", "{" + ",".join(map(str, range(990_000))) + "}", declared=True),
    "flood of yaml keys": write("m.yaml", ("? " * 100 + "1\n") * 90_000, declared=True),
    "yaml keys within keys": write("m.yaml", "? " * 60 + "1\n", declared=True),
    "alias bomb as a key": write("m.yaml", bomb(9, 10) + "? *a9\n: 1\n", declared=True),
    "almost endless digits": write("m.yaml", ("0b" * 1999 + "x ") * 16_000, declared=True),
    "deep yaml keys": write("m.yaml", "? " * 100_000, declared=True),
    "deep toml": write("m.toml", "a = " + "[" * 100_000, declared=True),
    "deep inline toml": write("m.toml", "a = " + "{a = " * 100_000, declared=True),
    "deep dotted toml": write("m.toml", "a." * 100_000 + "a = 1", declared=True),
    "deep python": write("m.py", "a = " + "(" * 100_000, declared=True),
    "deep python signs": write("m.py", "a = " + "-" * 100_000 + "1", declared=True),
    "deep python sums": write("m.py", "a = " + "1+" * 100_000 + "1", declared=True),
    "large python": write("m.py", "a = [" + "1," * 2_000_000 + "]", declared=True),
    "NUL in python": write("m.py", b"a = 1\0", declared=True),
    "NUL in yaml": write("m.yaml", b"a: 1\0", declared=True),
    "not UTF-8": write("m.json", b'{"a": "\xff\xfe"}', declared=True),
    "endless digits": write("m.yaml", "a: 0x" + "f" * 100_000, declared=True),
    "long text": write("m.yaml", "a: " + "1_" * 1_000_000 + "x", declared=True),
}


@pytest.mark.parametrize("case", METRICS)
def test_a_hostile_metrics_file_is_unreadable(scratch: Scratch, case: str) -> None:
    """Its state is told with a reason, and it fails."""
    METRICS[case](scratch)
    answer = compare_limited(scratch, "HEAD")
    assert (answer.code, answer.err) == (1, "")
    states = {row["file"]: row for row in json.loads(answer.out)["metrics"]}
    hostile = next(row for name, row in states.items() if name.startswith("m."))
    assert hostile["state"] == "unreadable"
    assert hostile["reason"]


def lock(stages: int) -> str:
    """A dvc.lock with a million lines, and some."""
    return "schema: '2.0'\nstages:\n" + "".join(f"  s{number}:\n    cmd: x\n" for number in range(stages))


LOOPS = "stages:\n" + "".join(
    f"  s{number}:\n    foreach: ${{big}}\n    do:\n      cmd: x ${{item}}\n" for number in range(100)
)
ROUNDS = "stages:\n  t:\n    foreach: ${items}\n    do:\n"
ITEMS = "items: [" + ", ".join(map(str, range(29_000))) + "]\n"
PROJECTS: dict[str, dict[str, str]] = {
    "a lock of a million entries": {"dvc.lock": lock(1_000_000)},
    "templates never closed": {"dvc.yaml": "stages:\n  t: {cmd: '" + "${ " * 100_000 + "'}\n"},
    "a template filled without end": {
        "dvc.yaml": f"vars: [a: {'x' * 100_000}]\nstages:\n  t: {{cmd: '{'${a}' * 10_000}'}}\n"
    },
    "a matrix of a million million": {
        "dvc.yaml": "stages:\n  t:\n    cmd: x\n    matrix:\n"
        + "".join(f"      a{n}: [{'1, ' * 9}1]\n" for n in range(12))
    },
    "loop after loop": {"dvc.yaml": LOOPS, "params.yaml": "big: [" + ", ".join(map(str, range(90_000))) + "]\n"},
    "a loop over a long stage": {
        "dvc.yaml": f"{ROUNDS}      cmd: x\n      deps: [{', '.join(f'd{n}' for n in range(3000))}]\n",
        "params.yaml": ITEMS,
    },
    "a loop over a long text": {
        "dvc.yaml": f"{ROUNDS}      cmd: {'${text}' * 1000}\n",
        "params.yaml": f"{ITEMS}text: {'x' * 1000}\n",
    },
    "a loop over a large file": {
        "dvc.yaml": f"{ROUNDS}      cmd: x\n      vars: [large.yaml]\n",
        "params.yaml": ITEMS,
        "large.yaml": "".join(f"k{n}: {n}\n" for n in range(60_000)),
    },
    "a loop beside many names": {
        "dvc.yaml": f"{ROUNDS}      cmd: x ${{nowhere}}\n",
        "params.yaml": ITEMS + "".join(f"k{n}: {n}\n" for n in range(60_000)),
    },
    "paths out of the repository": {
        "dvc.yaml": "vars: [../../etc/passwd, /etc/passwd:a]\nmetrics: [../../../../../etc/passwd, /etc/hostname]\n"
        "params: [/etc/passwd]\nstages:\n  t: {cmd: x, wdir: ../../.., metrics: [etc/passwd]}\n"
    },
    "a flood of patterns": {
        ".dvcignore": "".join(f"*a*{number}*b*\n" for number in range(5000)),
        **{f"d{number}/x.dvc": "outs: [{path: x}]\n" for number in range(100)},
    },
    "paths too long for a disk": {"dvc.yaml": f"metrics: [{'a/' * 50_000}x.json, {'b' * 5000}.json]\n"},
    "NUL in names": {"dvc.yaml": 'metrics: ["a\\0b.json"]\nparams: ["x\\0"]\nvars: ["\\0"]\n'},
    "values of every wrong kind": {
        "dvc.yaml": "metrics: {a: [1]}\nparams: 5\nplots: {1: 2}\nvars: {a: b}\nartifacts: [1]\nstages:\n"
        "  1: {cmd: [1, {a: b}], deps: 5, metrics: [[a]], params: [[1], {1: 2}], wdir: [1]}\n  null: null\n"
        "  {a: b}: {matrix: 5}\n",
        "dvc.lock": "schema: 5\nstages: {1: {deps: 5, outs: [5, {path: 3, md5: [1]}], params: {a: 5}}}\n",
        "x.dvc": "outs: [{path: 3, md5: 3}, 5]\nwdir: 5\n",
    },
}


@pytest.mark.parametrize("case", PROJECTS)
def test_a_hostile_declaration_is_a_problem_of_its_file(scratch: Scratch, case: str) -> None:
    """The file is named, and nothing outside of the repository is read."""
    scratch.write(PROJECTS[case])
    answer = compare_limited(scratch, "HEAD")
    assert answer.err == ""
    facts = json.loads(answer.out)
    assert "root:" not in answer.out
    assert facts["problems"] or [row for row in facts["metrics"] if row["state"] == "missing"]


def _swap(scratch: Scratch, name: str) -> Path:
    place = scratch.directory / name
    place.unlink(missing_ok=True)
    return place


@pytest.mark.parametrize(
    "name", ["metrics.json", "dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", ".dvc/config", ".dvc/config.local"]
)
@pytest.mark.parametrize("kind", ["pipe", "device", "loop", "out", "huge", "directory"])
def test_what_is_no_plain_file_is_not_waited_for(scratch: Scratch, name: str, kind: str) -> None:
    """A pipe without a writer, a device without an end, a link in a circle or out of here, a sparse gigabyte."""
    place = _swap(scratch, name)
    match kind:
        case "pipe":
            os.mkfifo(place)
        case "device":
            place.symlink_to("/dev/zero")
        case "loop":
            place.symlink_to(place.name)
        case "out":
            place.symlink_to("/etc/passwd")
        case "huge":
            with place.open("wb") as file:
                file.truncate(1 << 30)
        case _:
            place.mkdir()
    answer = compare_limited(scratch, "HEAD")
    assert "root:" not in answer.out + answer.err
    if name in {"metrics.json", "dvc.yaml"}:
        assert answer.code == 1


@pytest.mark.parametrize("inside", ["", "/part-0.csv"])
def test_an_output_that_is_a_pipe_is_not_waited_for(scratch: Scratch, inside: str) -> None:
    """Predictions without an end fail their gate by name, as a file or as a part of a directory."""
    lock = "schema: '2.0'\nstages:\n  score:\n    cmd: score\n    outs:\n    - {path: p.csv, md5: " + "0" * 32 + "}\n"
    files = {"dvc.yaml": "stages:\n  score:\n    cmd: score\n    outs: [p.csv]\n", "dvc.lock": lock}
    columns = "task: binary, key: id, label: y, score: p, gates: [accuracy: {no_worse_than: 0.1}]"
    policy = f"version: 1\nevaluations:\n- {{name: e, predictions: p.csv, {columns}}}\n"
    scratch.commit({**files, "seatrial.yaml": policy})
    (scratch.directory / f"p.csv{inside}").parent.mkdir(exist_ok=True)
    os.mkfifo(scratch.directory / f"p.csv{inside}")
    answer = compare_limited(scratch)
    assert answer.code == 1
    assert any("is no file, but a pipe" in finding["reason"] for finding in answer.facts["findings"])


def test_many_huge_files_are_not_held(scratch: Scratch) -> None:
    """Thirty sparse gigabytes."""
    (scratch.directory / "m").mkdir()
    for number in range(30):
        with (scratch.directory / "m" / f"{number}.json").open("wb") as file:
            file.truncate(1 << 30)
    scratch.write({"dvc.yaml": "metrics: [m]\n"})
    answer = compare_limited(scratch, "HEAD")
    assert {row["state"] for row in json.loads(answer.out)["metrics"] if row["file"] != "metrics.json"} == {
        "unreadable"
    }


@pytest.mark.slow
def test_many_large_metrics_are_not_held(scratch: Scratch) -> None:
    """Sixteen files of 40 MB, in git and on disk: those that fit are read, and the others say why they are not."""
    contents = {f"m/{number}.json": b'{"a": ' + b" " * (40 << 20) + b"%d}" % number for number in range(16)}
    scratch.commit({**contents, "m/small.json": '{"b": 1}', "dvc.yaml": "metrics: [m]\n"})
    for revisions in (("HEAD~1", "HEAD"), ("HEAD",)):
        rows = json.loads(compare_limited(scratch, *revisions).out)["metrics"]
        lost = [row for row in rows if row["state"] == "unreadable"]
        assert len(lost) == 13
        assert all("more than is held at once" in row["reason"] for row in lost)
        assert [row["state"] for row in rows if row["file"] == "m/small.json"] != ["unreadable"]


@pytest.mark.slow
def test_many_large_metrics_of_the_cache_are_not_held(scratch: Scratch) -> None:
    """The same files in DVC's cache, as one directory."""

    def keep(content: bytes, suffix: str = "") -> str:
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
        place = scratch.directory / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return digest

    large = [keep(b'{"a": ' + b" " * (40 << 20) + b"%d}" % number) for number in range(16)]
    listing = [{"md5": digest, "relpath": f"{number}.json"} for number, digest in enumerate(large)]
    outs = f"outs:\n    - {{path: m, md5: {keep(json.dumps(listing).encode(), '.dir')}}}\n"
    scratch.write({".dvc/.gitignore": "/cache\n", ".gitignore": "/m\n"})
    scratch.commit(
        {
            "dvc.yaml": "stages:\n  t:\n    cmd: t\n    metrics: [m]\n",
            "dvc.lock": f"schema: '2.0'\nstages:\n  t:\n    cmd: t\n    {outs}",
        }
    )
    rows = json.loads(compare_limited(scratch, "HEAD~1", "HEAD").out)["metrics"]
    assert sum("more than is held at once" in row["reason"] for row in rows) == 13


def test_many_pipelines_share_one_budget(scratch: Scratch) -> None:
    """Ten files that each stay below what templates may stand for."""
    stages = "stages:\n" + "".join(f"  s{number}:\n    cmd: {'${t} ' * 50}\n" for number in range(50))
    scratch.write({f"p{number}/dvc.yaml": stages for number in range(10)})
    scratch.write({f"p{number}/params.yaml": f"t: {'x' * 10_000}\n" for number in range(10)})
    answer = compare_limited(scratch, "HEAD")
    assert "templates stand, with others, for more than" in answer.out


@pytest.mark.slow
def test_many_large_dependencies_are_not_held(scratch: Scratch) -> None:
    """Sixteen files of git, of 60 MB each, that a lock names: some are checked, and the rest is told."""
    records = "".join(f"    - {{path: d/{number}.bin, md5: {'ab' * 16}, size: 1}}\n" for number in range(16))
    scratch.commit(
        {
            **{f"d/{number}.bin": bytes([number]) * (60 << 20) for number in range(16)},
            "dvc.yaml": "metrics: [metrics.json]\nstages:\n  t:\n    cmd: t\n",
            "dvc.lock": f"schema: '2.0'\nstages:\n  t:\n    cmd: t\n    deps:\n{records}",
        }
    )
    for revisions in (("HEAD~1", "HEAD"), ("HEAD",)):
        facts = json.loads(compare_limited(scratch, *revisions).out)
        assert len(facts["stale"][0]["because"]) == 4


def test_circles_of_links_between_directories(scratch: Scratch) -> None:
    """Directories that hold themselves, and links into `.git`, where CI keeps tokens."""
    links = {"self": ".", "up": "..", "a": "b", "b": "a", "etc": "/etc", "g": ".git", "d/e": "../d"}
    (scratch.directory / "d").mkdir()
    for name, target in links.items():
        (scratch.directory / name).symlink_to(target)
    scratch.write(
        {"dvc.yaml": "metrics: [self, up, a, etc/passwd, g/config, .git/config, d, self/self/metrics.json]\n"}
    )
    answer = compare_limited(scratch, "HEAD")
    assert answer.code == 1
    assert "root:" not in answer.out
    assert "repositoryformatversion" not in answer.out


CACHES = ("/", "\\\\server\\share", "~nobodyhere/cache", "a\0b", "x" * 10_000, "../../..", "/dev/zero", "")


@pytest.mark.parametrize("where", CACHES, ids=[repr(where)[:20] for where in CACHES])
def test_a_cache_that_points_anywhere(scratch: Scratch, where: str) -> None:
    """It is looked at by digest alone: what is not there is missing."""
    digest = "ab" * 16
    scratch.write(
        {
            ".dvc/config": f"[cache]\n    dir = {where}\n",
            "dvc.yaml": "stages:\n  t:\n    cmd: t\n    metrics: [m.json]\n",
            "dvc.lock": f"schema: '2.0'\nstages:\n  t:\n    outs:\n    - {{path: m.json, md5: {digest}}}\n",
        }
    )
    answer = compare_limited(scratch, "HEAD")
    states = {row["file"]: row["state"] for row in json.loads(answer.out)["metrics"]}
    assert states["m.json"] == "missing-cache"


@pytest.mark.parametrize("name", [".git", "..", ".", "a/b", "x" * 5000, "new\nline", "-rf", "C:", "metrics.json\\"])
def test_a_commit_with_odd_names(scratch: Scratch, name: str) -> None:
    """Our git refuses to make such trees; an attacker's does not. A name is only ever text for us."""
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"],
        cwd=scratch.directory,
        input=b'{"r": 1}',
        capture_output=True,
        check=True,
    ).stdout.strip()
    head = scratch.git("rev-parse", "HEAD:dvc.yaml").encode()
    entries = sorted([(name.encode(), blob), (b"dvc.yaml", head)])
    tree = b"".join(b"100644 " + entry + b"\0" + bytes.fromhex(oid.decode()) for entry, oid in entries)
    made = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"],
        cwd=scratch.directory,
        input=tree,
        capture_output=True,
        check=True,
    ).stdout
    commit = scratch.git("commit-tree", "-p", "HEAD", "-m", "odd", made.decode().strip())
    answer = compare_limited(scratch, "HEAD", commit)
    assert answer.code == 1  # the candidate has no metrics.json
