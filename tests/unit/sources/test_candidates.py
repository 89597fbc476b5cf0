"""Tables that look like predictions, told by their columns and what is in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.core.revision import Revision
from seatrial.sources.candidates import Candidate, find_candidates
from seatrial.stats.names import Task
from tests.fakes.git_project import GitProject

NOW = Revision(name="work tree", sha=None)
BINARY = "id,label,score\na,0,0.1\nb,1,0.9\nc,0,0.4\n"


def find(tmp_path: Path, table: str, name: str = "predictions.csv") -> tuple[Candidate, ...]:
    """The candidates of a project with one output in git."""
    project = GitProject.create(tmp_path / "project")
    lock = f"schema: '2.0'\nstages:\n  t:\n    cmd: x\n    outs:\n    - path: {name}\n      md5: {'0' * 32}\n"
    stage = f"stages:\n  t:\n    cmd: x\n    outs:\n    - {name}:\n        cache: false\n"
    project.commit({".dvc/config": "", "dvc.yaml": stage, "dvc.lock": lock, name: table})
    return find_candidates(project.repository, NOW)


def test_a_plain_table_leaves_no_doubt(tmp_path: Path) -> None:
    """Names that everybody uses, and values that fit: columns and task are certain."""
    [found] = find(tmp_path, BINARY)
    columns = found.columns
    assert (found.task, found.rows, found.doubts) == (Task.BINARY, 3, ())
    assert (columns.key, columns.label, columns.score) == (("id",), "label", "score")


@pytest.mark.parametrize(
    ("table", "task"),
    [
        ("id,y_true,y_pred\na,cat,cat\nb,dog,cat\n", Task.MULTICLASS),
        ("id,actual,prediction\na,1.5,1.4\nb,2.5,2.7\n", Task.REGRESSION),
        ("query_id,doc_id,label,score\nq,a,1,0.5\nq,b,0,3.1\n", Task.RANKING),
    ],
)
def test_the_values_tell_the_task(tmp_path: Path, table: str, task: Task) -> None:
    """Answers out of the classes are classes, other numbers are a regression, queries a ranking."""
    [found] = find(tmp_path, table)
    assert found.task is task


@pytest.mark.parametrize(
    ("table", "doubt"),
    [
        ("index,label,score\n0,0,0.1\n1,1,0.9\n", "row number"),
        ("flight,label,score\na,0,0.1\nb,1,0.9\n", "does flight identify a row for good?"),
        ("label,score\n0,0.1\n1,0.9\n", "no single column identifies a row"),
        ("id,label,score\na,0,0.1\na,1,0.9\n", "no single column identifies a row"),
        ("query_id,doc_id,label,score\nq,a,1,0.5\nq,b,0,3.1\n", "ranking"),
    ],
)
def test_what_is_not_certain_says_why(tmp_path: Path, table: str, doubt: str) -> None:
    """A guess is told as one."""
    [found] = find(tmp_path, table)
    assert doubt in "; ".join(found.doubts)


def test_a_label_that_only_its_values_tell_is_doubted_apart(tmp_path: Path) -> None:
    """Metrics that come out of the table can settle that doubt."""
    [found] = find(tmp_path, "id,late,score\na,0,0.1\nb,1,0.9\n")
    assert (found.columns.label, found.doubts, found.doubt_of_label) == ("late", (), "is late the truth?")


@pytest.mark.parametrize(
    "table",
    [
        "id,label,feature\na,0,1\n",
        "id,score\na,0.5\nb,0.6\n",
        "id,label,score\na,5,0.1\nb,6,0.2\n",
        "",
        "\0\0\0",
    ],
    ids=["no answer", "no truth", "no task", "empty", "damaged"],
)
def test_other_tables_are_none(tmp_path: Path, table: str) -> None:
    """Features, bare scores and damaged files are no predictions, and no error."""
    assert find(tmp_path, table) == ()


def test_what_the_reader_would_refuse_is_a_doubt(tmp_path: Path) -> None:
    """A row without a label is told in the reader's own words."""
    [found] = find(tmp_path, "id,label,prediction\na,cat,cat\nb,,cat\n")
    assert found.task is Task.MULTICLASS
    assert "column 'label' is empty" in "; ".join(found.doubts)


def test_a_file_below_an_output_is_found_by_its_own_path(tmp_path: Path) -> None:
    """A directory that DVC keeps holds the table."""
    project = GitProject.create(tmp_path / "project")
    lock = f"schema: '2.0'\nstages:\n  t:\n    cmd: x\n    outs:\n    - path: out\n      md5: {'0' * 32}.dir\n"
    stage = "stages:\n  t:\n    cmd: x\n    outs:\n    - out\n"
    files = {".dvc/config": "", "dvc.yaml": stage, "dvc.lock": lock, "out/eval/p.csv": BINARY, "out/notes.txt": "x"}
    project.commit(files)
    assert [found.path for found in find_candidates(project.repository, NOW)] == ["out/eval/p.csv"]
