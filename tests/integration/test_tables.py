"""Tables of a real DVC project, through the command line: rows, labels, leaks, drift, and what can't be read."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.repositories import Answer, Scratch, run_seatrial

pytestmark = pytest.mark.slow

POLICY = """\
version: 1
tables:
- name: train
  path: data/train.csv
  key: id
  label: late
  role: train
  max_label_flips: 1%
  max_rows_removed: 1%
  drift: {max_psi: auto}
- {name: test, path: data/test.csv, key: id, label: late, role: evaluation, max_rows_changed: 0}
"""
ROWS = 500
Rows = list[tuple[int, int, float]]


def draw(first: int, rows: int = ROWS, shift: float = 0.0) -> Rows:
    chance = random.Random(first)
    return [(first + i, int(chance.random() < 0.4), round(chance.gauss(shift, 1), 3)) for i in range(rows)]


def spell(rows: Rows) -> str:
    return "id,late,delay\n" + "".join(f"{key},{late},{delay}\n" for key, late, delay in rows)


def dvc(directory: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "--quiet"], cwd=directory, check=True)


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """A project whose two tables are outputs of DVC, on the branch `feature` with nothing changed yet."""
    scratch = Scratch(tmp_path / "project")
    scratch.directory.mkdir()
    scratch.git("init", "--quiet", "--initial-branch=main")
    dvc(scratch.directory, "init")
    scratch.write({"data/train.csv": spell(draw(0)), "data/test.csv": spell(draw(10_000, 100))})
    scratch.write({"metrics.json": '{"auc": 0.8}', "dvc.yaml": "metrics: [metrics.json]\n", "seatrial.yaml": POLICY})
    dvc(scratch.directory, "add", "data/train.csv", "data/test.csv")
    scratch.commit({})
    scratch.git("checkout", "--quiet", "-b", "feature")
    return scratch


def commit(scratch: Scratch, **tables: Rows) -> None:
    """New versions of tables, in DVC's cache and committed."""
    for name, rows in tables.items():
        scratch.write({f"data/{name}.csv": spell(rows)})
        dvc(scratch.directory, "add", f"data/{name}.csv")
    scratch.commit({})


def compare(scratch: Scratch) -> Answer:
    return run_seatrial(scratch.directory, "compare", "main", "feature", "--format", "json", "--no-fetch")


def table(answer: Answer, name: str) -> dict[str, Any]:
    return next(one for one in answer.facts["tables"] if one["name"] == name)


def outcomes(answer: Answer) -> dict[str, str]:
    return {finding["key"][0]: finding["outcome"] for finding in answer.facts["findings"] if finding["key"]}


def test_rows_labels_and_drift_are_told(scratch: Scratch) -> None:
    """Both versions come out of DVC's cache; gates that hold pass."""
    rows = draw(0)
    rows[3] = (rows[3][0], 1 - rows[3][1], rows[3][2])
    commit(scratch, train=[*rows[2:], *draw(2_000, 400, shift=2.0)])
    answer = compare(scratch)
    train = table(answer, "train")
    assert (train["state"], train["n_base"], train["n_head"]) == ("compared", 500, 898)
    assert (train["added"]["count"], train["removed"]["count"], train["label_flips"]["count"]) == (400, 2, 1)
    assert train["removed"]["examples"] == ["'0'", "'1'"]
    assert train["drifts"][0]["columns"][0]["column"] == "delay"
    assert outcomes(answer) == {
        "labels flipped in train": "passed",
        "rows removed from train": "passed",
        "keys of train in test": "passed",
        "drift of train": "warned",
        "rows changed in test": "passed",
    }
    assert (answer.code, answer.facts["verdict"]) == (0, "warned")
    shown = run_seatrial(scratch.directory, "compare", "main", "feature").out
    assert "Data: train +400 −2 rows, 1 row changed, 1 label flipped; test unchanged; drift of train: delay" in shown


def test_a_test_row_that_is_trained_on_fails(scratch: Scratch) -> None:
    """A leak blocks the merge, and names the rows."""
    commit(scratch, train=[*draw(0), *draw(10_000, 100)[:7]])
    answer = compare(scratch)
    assert answer.code == 1
    (leak,) = table(answer, "train")["leaks"]
    assert (leak["other"], leak["shared"], leak["before"]) == ("test", 7, 0)
    assert "Do not merge" in answer.facts["headline"]
    assert "'10000'" in next(one["hint"] for one in answer.facts["findings"] if one["outcome"] == "failed")


def test_labels_of_the_test_table_are_not_rewritten(scratch: Scratch) -> None:
    """The table that a model is judged by stays as it is."""
    commit(scratch, test=[(key, 1, delay) for key, _, delay in draw(10_000, 100)])
    answer = compare(scratch)
    assert outcomes(answer)["rows changed in test"] == "failed"
    assert answer.code == 1


def test_tables_of_the_work_tree_count_before_they_are_added(scratch: Scratch) -> None:
    """On a laptop, the file on disk is the candidate's."""
    scratch.write({"data/train.csv": spell(draw(0)[:-200])})
    answer = run_seatrial(scratch.directory, "compare", "--format", "json")
    assert table(answer, "train")["removed"]["count"] == 200
    assert answer.code == 1


def test_equal_digests_are_not_read(scratch: Scratch) -> None:
    """Neither side's rows are needed to know that they are the same; only leaks are looked for."""
    scratch.commit({"metrics.json": '{"auc": 0.9}'})
    answer = compare(scratch)
    assert table(answer, "test")["state"] == table(answer, "train")["state"] == "identical"
    assert (answer.code, answer.facts["verdict"]) == (0, "passed")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("id,late,delay\n1,0,1\n1,1,1\n", "the key id is not unique in 2 of 2 rows"),
        ("id,late,delay\n1,0,1\n,1,1\n", "column 'id' is empty in 1 of 2 rows"),
        ("flight,late,delay\n1,0,1\n", "data/train.csv has no column 'id'"),
        (b"id,late,delay\n1,0,Z\xfcrich\n", "can't be read as csv"),
        (b"", "can't be read as csv"),
    ],
)
def test_a_table_that_can_not_be_used_fails(scratch: Scratch, content: str | bytes, reason: str) -> None:
    """It is never "no change", whatever is wrong with it; one finding says what."""
    scratch.write({"data/train.csv": content})
    dvc(scratch.directory, "add", "data/train.csv")
    scratch.commit({})
    answer = compare(scratch)
    assert answer.code == 1
    assert table(answer, "train")["state"] == "unreadable"
    assert [one for one in answer.facts["findings"] if reason in one["reason"]]


def test_a_table_that_is_gone_fails_and_one_that_is_new_does_not(scratch: Scratch) -> None:
    """Nothing to compare with is said; a candidate without its table is no candidate."""
    scratch.git("rm", "--quiet", "data/test.csv.dvc")
    (scratch.directory / "data" / "test.csv").unlink()
    scratch.commit({})
    assert "data/test.csv is not there" in compare(scratch).out
    assert compare(scratch).code == 1
    answer = run_seatrial(scratch.directory, "compare", "feature", "main", "--format", "json", "--no-fetch")
    assert (table(answer, "test")["state"], outcomes(answer)["rows changed in test"]) == ("new", "not-judged")


def test_a_table_that_is_not_in_the_cache_says_how_to_get_it(scratch: Scratch) -> None:
    """The baseline's is inconclusive: the candidate is not to blame."""
    commit(scratch, train=draw(0, 400))
    objects = scratch.directory / ".dvc" / "cache" / "files" / "md5"
    for place in objects.rglob("*"):
        if place.is_file() and place.read_text(encoding="utf-8") == spell(draw(0)):
            place.unlink()
    answer = compare(scratch)
    assert answer.code == 3
    assert "dvc fetch --all-commits data/train.csv" in answer.out


def test_tables_that_are_elsewhere_are_fetched(scratch: Scratch, tmp_path: Path) -> None:
    """Though no metric differs: the data does."""
    dvc(scratch.directory, "remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    commit(scratch, train=draw(0, 499))
    for revision in ("main", "feature"):
        scratch.git("checkout", "--quiet", revision)
        dvc(scratch.directory, "checkout")
        dvc(scratch.directory, "push")
    shutil.rmtree(scratch.directory / ".dvc" / "cache")
    answer = run_seatrial(scratch.directory, "compare", "main", "feature", "--format", "json")
    assert (table(answer, "train")["state"], table(answer, "train")["removed"]["count"]) == ("compared", 1)
    assert table(answer, "train")["leaks"][0]["shared"] == 0
    assert answer.code == 0


def test_a_directory_is_no_table(scratch: Scratch) -> None:
    """One of its files may be."""
    scratch.write({"seatrial.yaml": "version: 1\ntables:\n- {path: data, key: id, max_rows_added: 0}\n"})
    answer = run_seatrial(scratch.directory, "compare", "--format", "json")
    assert answer.code == 1
    assert "data is a directory" in answer.out
