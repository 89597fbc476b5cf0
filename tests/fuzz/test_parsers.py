"""Any bytes become a value or one of our own errors, for every parser: never another exception, never a hang."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seatrial import ci
from seatrial.config import Config, parse_config
from seatrial.config.evaluations import Columns
from seatrial.config.raw import RawBudget, RawEvaluation, RawFlips, RawGap, RawGate, RawSlices
from seatrial.errors import ConfigError, SeatrialError
from seatrial.publish import parse_marker
from seatrial.render import json as report_json
from seatrial.sources import formats
from seatrial.sources.dvcfiles import Project, read_project
from seatrial.sources.dvcignore import read_ignore
from seatrial.sources.predictions import Cuts, read_predictions
from seatrial.stats.names import Task
from tests.unit.sources.memory_tree import MemoryTree

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("SEATRIAL_FUZZ_EXAMPLES", "600"))
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)

# Words that mean something to one parser or another: pure chance would hardly ever write one.
WORDS = (
    "stages:", "foreach: ", "do:", "matrix: ", "cmd: ", "metrics:", "params:", "vars:", "outs:", "deps:",
    "wdir: ", "plots:", "artifacts:", "schema: '2.0'", "path: ", "md5: ", "cache: false", "${item}",
    "${a.b[0]}", "${", "}", "- ", "item", "&a ", "*a", "<<: *a", "!!int ", "!x ", "|\n", ">-\n", "? ", ": ",
    "{", "[", "]", ",", "\n", "\n  ", "\t", "#", "\"", "'", "\\", "\\ud800", "\\u0000", "1e400", "-.inf",
    ".nan", "NaN", "0x", "1_0", "true", "null", "~", "= ", "[[a]]", "[a]", "a.b", "1979-05-27", "class A:\n",
    "self.", "def __init__(self):\n", "lambda: ", "1j", "b''", "...", "...\n", "---\n", "<<<<<<< x\n",
    ">>>>>>> x\n", "!", "**", "*", "?", "[a-", "/", "..", "../", "//", "version: 1\n", "at_least: ",
    "stale: fail\n", "evaluations:\n", "<!-- seatrial ", " -->", "{\"v\":1,", "\"key\":", "id,label,score\n",
    "1,0,0.5\n", "PAR1", "\ufeff", "\x85", "\u2028", "\r\n", "\x00", "%TAG ", "%YAML 9.9\n", "a", "b: 1", "x=1",
)  # fmt: skip
PIECES = st.one_of(
    st.sampled_from(WORDS).map(str.encode), st.binary(max_size=6), st.integers().map(lambda n: b"%d" % n)
)
DATA = st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=40).map(b"".join))


@pytest.mark.parametrize("suffix", ["json", "yaml", "toml", "py", "csv", "txt"])
@bounded
@given(data=DATA)
def test_values(suffix: str, data: bytes) -> None:
    """Metrics and parameters: values that every report can hold, or an unreadable file with a reason."""
    found = formats.read_values(f"m.{suffix}", data)
    if found.problem:
        assert found.problem.message.startswith("m.")
        assert not found.values
    for key, value in found.values.items():
        assert all(isinstance(part, str) for part in key)
        assert str(value) is not None  # an integer of too many digits can't be written


@pytest.mark.parametrize(
    "name", ["dvc.yaml", "dvc.lock", "x.dvc", ".dvcignore", "params.yaml", ".dvc/config", "Dvcfile", "vars.py"]
)
@bounded
@given(data=DATA)
def test_declarations(name: str, data: bytes) -> None:
    """DVC's own files, each beside others that are as they should be."""
    files: dict[str, str | bytes] = {
        "dvc.yaml": "vars: [vars.py]\nstages:\n  t:\n    foreach: ${names}\n    do: {cmd: x, metrics: [m]}\n",
        "dvc.lock": "schema: '2.0'\nstages:\n  t@a: {cmd: x, outs: [{path: a.json, md5: abc}]}\n",
        "params.yaml": "names: [a, b]\n",
        "vars.py": "x = 1\n",
        ".dvc/config": "",
    }
    project = read_project(MemoryTree({**files, name: data}))
    assert isinstance(project, Project)
    for path in project.metrics:
        assert not path.startswith(("/", "../"))


@bounded
@given(data=DATA, path=st.text(st.sampled_from("ab/.*?[]!\\ "), min_size=1, max_size=20))
def test_ignore_files(data: bytes, path: str) -> None:
    """Patterns, and any path held against them."""
    assert isinstance(read_ignore({".dvcignore": data, "a/.dvcignore": data}).hides(path), bool)


@bounded
@given(data=DATA)
def test_policies(data: bytes) -> None:
    """seatrial.yaml."""
    with contextlib.suppress(SeatrialError):
        assert isinstance(parse_config(b"version: 1\n" + data), Config)
    with contextlib.suppress(SeatrialError):
        assert isinstance(parse_config(data), Config)


# Values of every kind at every key of an evaluation, most of them wrong.
KEYS = sorted({
    *RawEvaluation.__struct_fields__, *RawGate.__struct_fields__, *RawSlices.__struct_fields__,
    *RawGap.__struct_fields__, *RawFlips.__struct_fields__, *RawBudget.__struct_fields__, "param",
    "roc_auc", "recall", "f_beta", "ndcg", "mean", "pinball", "top_k", "unknown",
})  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from([*KEYS, "p.parquet", "id", "y", "1%", "-1%", "0.002", "1e400%", "nan", "1/9", "params.yaml:t"]),
    st.sampled_from(["binary", "multiclass", "regression", "ranking", "scores", "unpaired", "intersect", "upper"]),
    st.text(max_size=5),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=12,
)


@bounded
@given(parts=st.dictionaries(st.sampled_from(KEYS), TREES, max_size=8), sound=st.booleans())
def test_evaluations(parts: dict[str, Any], *, sound: bool) -> None:
    """The evaluations of seatrial.yaml, garbled part by part: a configuration, or an error that names the file."""
    start = {"predictions": "p.csv", "key": "id", "label": "y", "score": "p"} if sound else {}
    text = yaml.safe_dump({"version": 1, "evaluations": [{**start, **parts}]}, allow_unicode=True)
    told = "seatrial.yaml:"
    try:
        (evaluation,) = parse_config(text.encode()).evaluations
        assert evaluation.columns.key
    except ConfigError as error:
        told = error.message
    assert told.startswith("seatrial.yaml:")


@bounded
@given(data=DATA)
def test_reports(data: bytes) -> None:
    """A JSON report that another job handed over."""
    with contextlib.suppress(SeatrialError):
        report_json.parse(data)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@bounded
@given(data=DATA)
def test_predictions(suffix: str, data: bytes) -> None:
    """Tables of predictions."""
    columns = Columns(key=("id",), label="label", score="score")
    start = {"csv": b"id,label,score\n", "jsonl": b'{"id": 1, "label": 0, "score": 0.5}\n', "parquet": b"PAR1"}[suffix]
    for content in (data, start + data):
        with contextlib.suppress(SeatrialError):
            found = read_predictions(content, path=f"p.{suffix}", task=Task.BINARY, columns=columns)
            assert found.table.height > 0


# Words of SQL and of its functions, dangerous ones among them.
CONDITION_WORDS = (
    "hour", "carrier", "nothing", "\"a b\"", "'UA'", "22", "-1", "1e400", "1e-400", "9" * 40, "0", "NULL", "TRUE", "*",
    " >= ", " < ", " = ", " <> ", " + ", " - ", " / ", " % ", " || ", " and ", " or ", " not ", " in ", " between ",
    " is null", " like ", " ilike ", " ~ ", "(", ")", ",", "[", "]", "'", "\"", ";", "--", "/*", "::", "\\",
    "case when ", " then ", " else ", " end", "cast(", " as ", " integer", " date", "substr(", "regexp_like(",
    "count(", "sum(", "max(", "row_number()", " over (", "select ", " from ", "read_parquet('/etc/passwd')",
    "read_csv('/etc/passwd')", "exists (", "interval '1 day'", "date '2026-01-01'", "\x00", "\ud7ff", "é",
)  # fmt: skip
CONDITIONS = st.one_of(
    st.text(max_size=60),
    st.lists(st.one_of(st.sampled_from(CONDITION_WORDS), st.integers().map(str), st.text(max_size=3)), max_size=12).map(
        "".join
    ),
)


@bounded
@given(text=CONDITIONS)
def test_conditions_of_slices(text: str) -> None:
    """`where` says of each row whether it is in the slice, or is refused as the condition it is."""
    columns = Columns(key=("id",), label="label", score="score")
    content = b"id,label,score,hour,carrier\n1,0,0.5,22,UA\n2,1,0.25,3,\n"
    cuts = Cuts(where=(("night", text),))
    with contextlib.suppress(SeatrialError):
        found = read_predictions(content, path="p.csv", task=Task.BINARY, columns=columns, cuts=cuts)
        assert found.table["where:night"].null_count() == 0
        assert found.table.height == 2


@pytest.mark.parametrize("event", ["pull_request", "push", "merge_group", "issue_comment", "schedule"])
@bounded
@given(
    data=st.one_of(
        DATA, st.sampled_from([b"{}", b"[]", b"null", b'{"pull_request": {"number": 1}}', b'{"before": ""}'])
    )
)
def test_events_of_github(event: str, data: bytes) -> None:
    """The file that describes a job's event."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "event.json"
        path.write_bytes(data)
        env = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(path),
            "GITHUB_REPOSITORY": "ada/x",
            "GITHUB_RUN_ID": "1",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_SHA": "a" * 40,
            "GITHUB_REF": "refs/heads/main",
        }
        with contextlib.suppress(SeatrialError):
            assert ci.detect(env, checked_out="a" * 40) is not None


@bounded
@given(
    values=st.dictionaries(
        st.sampled_from(
            [
                "CI_PIPELINE_ID",
                "CI_JOB_ID",
                "CI_MERGE_REQUEST_IID",
                "CI_COMMIT_BRANCH",
                "CI_DEFAULT_BRANCH",
                "CI_COMMIT_SHA",
                "CI_COMMIT_BEFORE_SHA",
                "CI_PROJECT_ID",
                "CI_API_V4_URL",
                "CI_SERVER_URL",
                "CI_PIPELINE_URL",
                "CI_PROJECT_PATH",
                "CI_MERGE_REQUEST_DIFF_BASE_SHA",
                "CI_MERGE_REQUEST_EVENT_TYPE",
                "CI_MERGE_REQUEST_TARGET_BRANCH_SHA",
            ]
        ),
        st.one_of(
            st.text(max_size=10), st.sampled_from(["1", "a" * 40, "0" * 40, "main", "merged_result", "merge_train"])
        ),
    )
)
def test_variables_of_gitlab(values: dict[str, str]) -> None:
    """What a job of GitLab says of itself, garbled."""
    with contextlib.suppress(SeatrialError):
        assert ci.detect({"GITLAB_CI": "true", **values}, checked_out="a" * 40) is not None


@bounded
@given(data=DATA)
def test_markers(data: bytes) -> None:
    """The first line of a comment that anybody may have written."""
    text = data.decode("utf-8", "replace")
    for body in (text, f"<!-- seatrial {text} -->", f'<!-- seatrial {{"v":1,"key":{text}}} -->'):
        parse_marker(body)
