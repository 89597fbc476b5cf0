"""Predictions that a fork's run measured: estimates cross as numbers, and the baseline's are held against our own."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.forks import Facts, StrangersPull, open_forge, open_pull
from tests.integration.test_evidence import flights, parquet

GATES = "  gates:\n  - accuracy: {no_worse_than: 0.03}\n"
SLICES = "  slices:\n    by: [carrier]\n    min_n: 100\n    gates:\n    - accuracy: {not_harmed: 0}\n"
POLICY = (
    "version: 1\nevaluations:\n- name: e\n  predictions: p.parquet\n  task: binary\n  key: id\n  label: y\n  score: p\n"
)
TABLES = "tables:\n- {path: t.csv, key: id, max_rows_removed: 0}\n"
CACHED = (
    "stages:\n  train:\n    cmd: train\n    outs:\n    - p.parquet\n    metrics:\n    - metrics.json: {cache: false}\n"
)
Opening = Callable[..., StrangersPull]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opening]:
    """Opens a fork's pull request whose predictions have more or less noise than main's."""

    def open_noisy(noise: float, policy: str = POLICY + GATES) -> StrangersPull:
        main, files = ({"p.parquet": parquet(flights(each, seed))} for each, seed in ((0.2, 1), (noise, 2)))
        return open_pull(tmp_path, forge, policy=policy, main=main, files=files)

    with open_forge() as forge:
        yield open_noisy


def outcomes(pull: StrangersPull) -> list[tuple[str, str]]:
    """What the fork's own run says of its gates."""
    return [(finding["check"], finding["outcome"]) for finding in pull.facts["findings"]]


@pytest.mark.parametrize(("noise", "code", "said"), [(0.15, 0, "Ready to merge"), (0.4, 1, "Do not merge")])
def test_evidence_is_judged_as_in_the_forks_own_run(opened: Opening, noise: float, code: int, said: str) -> None:
    """The same gates, on the same estimates, come to the same verdict."""
    pull = opened(noise, POLICY + GATES + SLICES)
    assert pull.measure().code == code
    answer = pull.publish()
    assert answer.code == code, answer.err
    assert said in pull.body()
    assert "95 % CI" in pull.body()
    assert "are told by" not in pull.body()


def lower(facts: Facts) -> None:
    """Main's model is made worse than it is; difference and interval go with it."""
    for each in facts["evaluations"][0]["overall"]:
        each.update(base=each["base"] - 0.3, low=each["low"] + 0.3, high=each["high"] + 0.3)


def lower_slices(facts: Facts) -> None:
    for each in facts["evaluations"][0]["slices"]:
        each["base"] -= 0.3


def call_new(facts: Facts) -> None:
    facts["evaluations"][0].update(n_base=None, n_common=None)


def change_set(facts: Facts) -> None:
    facts["evaluations"][0]["digest"] = "0" * 64


@pytest.mark.parametrize(
    ("forgery", "said"),
    [
        (lower, "it compares 'accuracy of e' with"),
        (lower_slices, "of e carrier="),
        (call_new, "it counts None samples of the baseline's e, and there are 1200"),
        (change_set, "evaluation set of e is not the baseline's"),
    ],
)
def test_another_baseline_is_refused(opened: Opening, forgery: Callable[[Facts], None], said: str) -> None:
    """The baseline's predictions are read here too, and say what it was."""
    pull = opened(0.4, POLICY + GATES + SLICES)
    pull.forge_report(forgery)
    pull.refused(pull.publish(), said)


def test_a_gate_that_came_later_is_open(opened: Opening) -> None:
    """Main got an evaluation and a table after the run: nobody has measured them, and nothing passes."""
    pull = opened(0.15, "version: 1\n")
    pull.measure()
    pull.ours.commit({"seatrial.yaml": POLICY + GATES + TABLES, "t.csv": "id,x\n1,2\n"})
    answer = pull.publish()
    assert answer.code == 3
    assert "Can't tell: " in pull.body()
    assert "nothing is told by the pull request's own CI" in pull.body()


def place(content: bytes, below: str = ".dvc/cache") -> str:
    """Where DVC keeps a file."""
    digest = hashlib.md5(content).hexdigest()
    return f"{below}/files/md5/{digest[:2]}/{digest[2:]}"


def lock(content: bytes) -> str:
    """The dvc.lock of the predictions."""
    digest = hashlib.md5(content).hexdigest()
    out = f"    - {{path: p.parquet, hash: md5, md5: {digest}, size: {len(content)}}}\n"
    return f"schema: '2.0'\nstages:\n  train:\n    cmd: train\n    outs:\n{out}"


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[StrangersPull]:
    """Predictions that DVC keeps: the fork's run has them in its cache, main's are at a remote beside our clone."""
    main, head = (parquet(flights(*each)) for each in ((0.2, 1), (0.15, 2)))
    shelf = tmp_path / place(main, "shelf")
    shelf.parent.mkdir(parents=True)
    shelf.write_bytes(main)
    settled = {
        ".gitignore": "p.parquet\n",
        ".dvc/.gitignore": "/cache\n/tmp\n",
        ".dvc/config": "[core]\n    remote = shelf\n['remote \"shelf\"']\n    url = ../../shelf\n",
        "dvc.yaml": CACHED,
        "dvc.lock": lock(main),
    }
    changed: dict[str, str | bytes] = {"dvc.lock": lock(head), place(main): main, place(head): head}
    with open_forge() as forge:
        yield open_pull(tmp_path, forge, policy=POLICY + GATES, main=settled, files=changed)


TOLD = "e: the baseline's values are told by the pull request's own CI, its predictions are not on this machine"


def test_a_baseline_that_can_not_be_read_here_is_said(cached: StrangersPull) -> None:
    """Its values are those of the report, and whoever reads ours knows that."""
    assert cached.measure().code == 0
    assert cached.publish("--no-fetch").code == 0
    assert TOLD in cached.body()


@pytest.mark.slow
def test_the_baselines_predictions_are_fetched_and_nothing_else(cached: StrangersPull) -> None:
    """By the user's own DVC, with the settings of the base branch: then the report is held against them."""
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    cached.measure()
    answer = cached.publish(env=path)
    assert answer.code == 0, answer.err
    assert "fetching 1 file of the baseline" in answer.err
    assert TOLD not in cached.body()
    cache = cached.ours.directory / ".dvc/cache/files"
    assert [file for file in cache.rglob("*") if file.is_file()] == [
        cached.ours.directory / place(parquet(flights(0.2, 1)))
    ]
    cached.forge.records.remarks.clear()
    cached.forge.records.checks.clear()
    cached.forge_report(lower)
    cached.refused(cached.publish(env=path), "it compares 'accuracy of e' with")


@pytest.mark.slow
def test_what_could_not_be_fetched_is_said(cached: StrangersPull) -> None:
    """The remote has lost it: the report says so, and what its numbers rest on."""
    cached.measure()
    shutil.rmtree(cached.ours.directory.parent / "shelf")
    assert cached.publish(env={"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}).code == 0
    assert TOLD in cached.body()
    assert "did not find it at the remote" in cached.body()
