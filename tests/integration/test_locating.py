"""Annotations of real repositories: the lines of parameters, stages and gates in the candidate's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.commands.compare import compare_revisions, load_config_at
from seatrial.commands.measure import Selection, measure
from seatrial.core.annotations import Annotation, Level
from seatrial.core.revision import Revision, RevisionRange
from seatrial.git import Repository
from tests.integration.repositories import Scratch

DVC = "stages:\n  train:\n    cmd: train\n    params: [lr]\n    metrics:\n      - metrics.json: {cache: false}\n"
POLICY = "version: 1\nmetrics:\n  recall: {max_decrease: 0.01}\n"


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """A project whose candidate raises a parameter and loses recall."""
    scratch = Scratch.create(tmp_path / "project")
    lock = "schema: '2.0'\nstages:\n  train:\n    cmd: train\n    params:\n      params.yaml:\n        lr: {lr}\n"
    for number, (rate, recall) in enumerate(((0.1, 0.8), (0.2, 0.7))):
        scratch.commit(
            {
                "dvc.yaml": DVC,
                "dvc.lock": lock.replace("{lr}", str(rate)),
                "params.yaml": f"# the rate\nseed: 7\nlr: {rate}\n",
                "metrics.json": f'{{"recall": {recall}}}',
                "seatrial.yaml": POLICY if not number else f"# mine\n{POLICY.replace('0.01', '0.5')}",
            }
        )
    return scratch


def list_spots(annotations: tuple[Annotation, ...]) -> list[tuple[str, int, Level]]:
    return [(one.path, one.line, one.level) for one in annotations]


def test_annotations_stand_where_the_candidate_has_them(scratch: Scratch) -> None:
    """Judged by the base's policy, a gate is told at the line where the candidate's own policy has it."""
    repository = Repository.discover(scratch.directory)
    base, head = (Revision(name=name, sha=scratch.git("rev-parse", name).strip()) for name in ("main~1", "main"))
    config = load_config_at(repository, base, None)
    assert config is not None
    done = measure(repository, RevisionRange(base=base, head=head, reason="asked for"), config, Selection())
    assert list_spots(done.report.annotations) == [
        ("seatrial.yaml", 4, Level.FAILURE),
        ("params.yaml", 3, Level.NOTICE),
        ("dvc.yaml", 2, Level.NOTICE),
    ]


def test_the_work_tree_has_lines_too(scratch: Scratch) -> None:
    """What is not committed yet is located as it lies on the disk."""
    scratch.write({"params.yaml": "seed: 7\n\n\n\nlr: 0.3\n", "seatrial.yaml": POLICY})
    done = compare_revisions(scratch.directory, base="main~1", head=None, config_path=None, selection=Selection())
    spots = list_spots(done.report.annotations)
    assert ("seatrial.yaml", 3, Level.FAILURE) in spots
    assert ("params.yaml", 5, Level.NOTICE) in spots


def test_a_policy_from_elsewhere_has_no_lines(scratch: Scratch, tmp_path: Path) -> None:
    """A gate of a file outside of the repository is told at the parameter that changed."""
    outside = tmp_path / "gates.yaml"
    outside.write_text(POLICY, encoding="utf-8")
    done = compare_revisions(scratch.directory, base="main~1", head="main", config_path=outside, selection=Selection())
    assert list_spots(done.report.annotations)[0] == ("params.yaml", 3, Level.FAILURE)


def test_a_broken_policy_of_the_candidate_has_no_lines(scratch: Scratch) -> None:
    """It does not keep the others from being told."""
    repository = Repository.discover(scratch.directory)
    base = Revision(name="main~1", sha=scratch.git("rev-parse", "main~1").strip())
    config = load_config_at(repository, base, None)
    assert config is not None
    scratch.commit({"seatrial.yaml": "version: 1\nmetrics: [\n"})
    head = Revision(name="main", sha=scratch.git("rev-parse", "main").strip())
    done = measure(repository, RevisionRange(base=base, head=head, reason="asked for"), config, Selection())
    assert list_spots(done.report.annotations)[0] == ("params.yaml", 3, Level.FAILURE)
