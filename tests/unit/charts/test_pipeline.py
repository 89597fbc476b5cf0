"""The flow chart of a pipeline: what leads to what, what changed, and no name that does harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.charts.pipeline import MAX_CHARACTERS, draw_pipeline
from seatrial.core.metrics import FileRecord, StageRecord


def stage(address: str, deps: tuple[str, ...] = (), outs: tuple[str, ...] = (), command: str = "run") -> StageRecord:
    return StageRecord(
        address=address,
        command=command,
        deps=tuple(FileRecord(path=path, digest="a") for path in deps),
        outs=tuple(FileRecord(path=path, digest="a") for path in outs),
    )


def test_stages_of_one_loop_are_drawn_once_and_connected_by_files() -> None:
    """A file inside of a directory that another stage writes connects them too."""
    stages = (
        stage("prepare", outs=("data",)),
        stage("train@a", deps=("data/train.csv",), outs=("a",)),
        stage("train@b", deps=("data",), outs=("b",)),
        stage("data.dvc", outs=("raw",), command=""),
    )
    assert draw_pipeline(stages, {"train@b"}) == (
        "flowchart LR\n"
        '    s0["prepare"]\n'
        '    s1["train ×2"]\n'
        "    s0 --> s1\n"
        "    classDef changed stroke:#d29922,stroke-width:3px\n"
        "    class s1 changed"
    )


def test_a_pipeline_without_edges_is_not_drawn() -> None:
    """One box tells nothing."""
    assert draw_pipeline((stage("train", deps=("a",), outs=("b",)),), ()) is None


def test_what_forges_would_not_draw_is_left_out() -> None:
    """Hundreds of stages are told in the table, not drawn."""
    stages = [stage(f"s{n}", deps=(f"f{n}",), outs=(f"f{n + 1}",)) for n in range(300)]
    assert draw_pipeline(stages, ()) is None


@given(st.text(max_size=80))
def test_no_name_leaves_its_label(name: str) -> None:
    """Quotes, brackets, line ends and directives of Mermaid stay out."""
    source = draw_pipeline((stage("first", outs=("x",)), stage(f"n{name}", deps=("x",))), ())
    assert source is not None
    assert len(source) <= MAX_CHARACTERS
    lines = source.split("\n")
    assert lines[0] == "flowchart LR"
    assert len(lines) == 4
    assert lines[2].count('"') == 2
    assert not set("[]{}()<>#;`%\\") & set(lines[2].split('"')[1])


@pytest.mark.parametrize("name", ["", " ", "\u3164", "@loop"])
def test_a_name_that_nobody_sees_has_a_label(name: str) -> None:
    """An empty one is a fault to Mermaid."""
    source = draw_pipeline((stage("first", outs=("x",)), stage(name, deps=("x",))), ())
    assert source is not None
    assert '[""]' not in source
    assert '[" ' not in source
