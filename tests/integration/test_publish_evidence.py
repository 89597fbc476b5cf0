"""Predictions that a fork's run measured: estimates cross as numbers, and the baseline's are held against our own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.forks import RUN, Facts, StrangersPull, open_forge, open_pull
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


def test_a_baseline_that_can_not_be_read_here_is_said(tmp_path: Path) -> None:
    """Its predictions lie in a cache that only the fork's run has: its values are told, and the report says by whom."""
    main, head = (parquet(flights(*each)) for each in ((0.2, 1), (0.15, 2)))

    def lock(content: bytes) -> str:
        out = f"    - {{path: p.parquet, md5: {hashlib.md5(content).hexdigest()}, size: {len(content)}}}\n"
        return f"schema: '2.0'\nstages:\n  train:\n    cmd: train\n    outs:\n{out}"

    def place(content: bytes) -> str:
        digest = hashlib.md5(content).hexdigest()
        return f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}"

    with open_forge() as forge:
        ignored = {".gitignore": "p.parquet\n", ".dvc/.gitignore": "/cache\n", "dvc.yaml": CACHED}
        pull = open_pull(
            tmp_path,
            forge,
            policy=POLICY + GATES,
            main={**ignored, "dvc.lock": lock(main)},
            files={"dvc.lock": lock(head), place(main): main, place(head): head},
        )
        assert pull.measure().code == 0
        assert pull.publish("--no-fetch").code == 0
        told = "e: the baseline's values are told by the pull request's own CI, its predictions are not on this machine"
        assert told in pull.body()
        assert RUN in forge.runs
