"""Where a release's facts come from: golden requests that were judged, stages that made the model, addresses."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from seatrial.commands.releasing import Lineage, _clean_address, _find_makers, promise_golden
from seatrial.core.metrics import FileRecord, StageRecord
from seatrial.deploy.packing import SourceFile, write_document
from seatrial.errors import ReleaseError

SCORES: Mapping[tuple[str, ...], float] = {("7",): 0.25, ("8",): 0.75}


def bring(*rows: dict[str, object]) -> tuple[SourceFile, ...]:
    """A model's golden.json."""
    return (write_document("golden.json", json.dumps({"rows": rows, "tolerance": 1e-4})),)


def judge(*tables: Mapping[tuple[str, ...], float]) -> Lineage:
    """Evaluations whose key is the flight."""
    return Lineage(keys=(("flight",),) * len(tables), judged=tables)


def test_golden_requests_are_held_against_what_was_judged() -> None:
    """Rows with the key of an evaluation have its scores; one evaluation of several is enough, as each has a model."""
    rows = bring({"flight": 7, "probability": 0.250001}, {"flight": "8", "probability": 0.75})
    other = {key: 1 - score for key, score in SCORES.items()}
    for lineage in (judge(SCORES), judge(other, SCORES)):
        promise = promise_golden(rows, lineage)
        assert promise is not None
        assert (promise.rows, promise.judged) == (2, 2)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"flight": 7, "probability": 0.26}, "7 has the score 0.26, and 0.25 was judged"),
        ({"flight": 9, "probability": 0.25}, "9 is not among the predictions that were judged"),
        ({"flight": 7, "probability": "high"}, "7 has the score high"),
    ],
)
def test_golden_requests_that_nobody_judged_are_refused(row: dict[str, object], said: str) -> None:
    """Another score, or a sample of another set, would prove the model by something that no gate saw."""
    with pytest.raises(ReleaseError, match=said):
        promise_golden(bring(row), judge(SCORES))


def test_golden_requests_without_a_key_promise_less() -> None:
    """Where the rows carry no key, none of them counts as judged; a file that can't be read promises nothing."""
    promise = promise_golden(bring({"probability": 0.25}), judge(SCORES))
    assert promise is not None
    assert (promise.rows, promise.judged) == (1, 0)
    assert promise_golden((write_document("golden.json", "[]"),), judge(SCORES)) is None
    assert promise_golden((), judge(SCORES)) is None


def test_all_stages_behind_a_model_are_found() -> None:
    """From the artifact back, through directories and their parts, each stage once, and no other."""

    def stage(name: str, deps: tuple[str, ...], out: str) -> StageRecord:
        files = tuple(FileRecord(path=path, digest=f"md5-{path}") for path in deps)
        return StageRecord(address=name, command=name, deps=files, outs=(FileRecord(path=out, digest=f"md5-{out}"),))

    stages = (
        stage("prepare", ("raw.csv",), "data"),
        stage("train", ("data/train.csv", "train.py"), "model"),
        stage("export", ("model", "data/test.csv"), "export"),
        stage("other", ("data/train.csv",), "unused"),
    )
    assert [made.address for made in _find_makers(stages, "export/model.onnx")] == ["export", "train", "prepare"]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://user:secret@example.org:8443/a/b.git", "https://example.org:8443/a/b.git"),
        ("https://example.org/a.git?token=secret", "https://example.org/a.git"),
        ("git@example.org:a/b.git", "ssh://example.org/a/b.git"),
        ("ssh://git@example.org/a.git", "ssh://example.org/a.git"),
        ("/srv/git/a.git", ""),
        ("file:///srv/git/a.git", ""),
        (None, ""),
    ],
)
def test_no_credentials_leave_in_an_address(address: str | None, told: str) -> None:
    """A remote is told by host and path alone, and a path of this machine is not told."""
    assert _clean_address(address) == told
