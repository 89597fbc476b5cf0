"""The plots of real repositories in every format: what changed, what is drawn, what is refused, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from seatrial.commands.plotting import gather_plots
from seatrial.core.revision import Revision, RevisionRange
from seatrial.git import Repository
from tests.integration.repositories import Scratch, run_seatrial
from tests.unit.sources.test_pictures import make_png

METRICS = "metrics:\n- metrics.json\nplots:\n"
ROC = "- roc:\n    title: ROC\n    x: fpr\n    y: {a/roc.json: tpr, b/roc.json: tpr}\n"


def rows(*pairs: tuple[float, float], x: str = "fpr", y: str = "tpr") -> str:
    return json.dumps([{x: first, y: second} for first, second in pairs])


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch.create(tmp_path / "project")


def compare_plots(
    scratch: Scratch, declared: str, base: Mapping[str, str | bytes], head: Mapping[str, str | bytes]
) -> list[dict[str, Any]]:
    """Commit both sides; the facts on plots."""
    scratch.commit({"dvc.yaml": METRICS + declared, "metrics.json": '{"recall": 0.8}', **base})
    scratch.commit({"metrics.json": '{"recall": 0.9}', **head})
    found: list[dict[str, Any]] = run_seatrial(
        scratch.directory, "compare", "HEAD~1", "HEAD", "--format", "json"
    ).facts["plots"]
    return found


def draw_plots(scratch: Scratch) -> tuple[str, list[dict[str, Any]]]:
    """What is said of the plots that are drawn, and their specifications."""
    repository = Repository.discover(scratch.directory)
    base, head = (Revision(name=name, sha=repository.resolve(name)) for name in ("HEAD~1", "HEAD"))
    plots = gather_plots(repository, RevisionRange(base=base, head=head, reason="named"), show_all=False)
    assert plots
    drawings = plots.draw()
    words = " | ".join(f"{drawing.title}: {'; '.join(drawing.notes)}" for drawing in drawings)
    return words, [json.loads(drawing.live) for drawing in drawings if drawing.live]


def test_both_sides_are_laid_over_one_another(scratch: Scratch) -> None:
    """Several files in one plot; a source that is the same on both sides is named, not drawn."""
    same, before, after = rows((0, 0), (1, 1)), rows((0, 0.1), (1, 1)), rows((0, 0.2), (1, 1))
    told = compare_plots(scratch, ROC, {"a/roc.json": before, "b/roc.json": same}, {"a/roc.json": after})
    assert told == [{"name": "roc", "title": "ROC", "state": "changed", "reason": ""}]
    words, (spec,) = draw_plots(scratch)
    assert words == "ROC: the same on both sides: b"
    assert [(row["h"], row["x"], row["y"]) for row in spec["data"]["values"]] == [
        (0, 0, 0.1), (0, 1, 1), (1, 0, 0.2), (1, 1, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["curve.json", "curve.yaml", "curve.csv", "curve.tsv"])
def test_every_format_of_rows_is_drawn_alike(scratch: Scratch, name: str) -> None:
    """JSON, YAML, CSV and TSV; without fields, the last one over the row's number."""
    sign = {"csv": ",", "tsv": "\t"}.get(name[-3:])
    texts = [f"epoch{sign}loss\n1{sign}{last}\n2{sign}4\n" if sign else rows((1, last), (2, 4)) for last in (2, 3)]
    compare_plots(scratch, f"- {name}\n", {name: texts[0]}, {name: texts[1]})
    _, (spec,) = draw_plots(scratch)
    assert [(row["x"], row["y"]) for row in spec["data"]["values"]] == [(0, 2), (1, 4), (0, 3), (1, 4)]


def test_a_directory_has_a_plot_for_every_file(scratch: Scratch) -> None:
    """As DVC has it, with the properties of the directory; a new file is a new plot."""
    one, two = rows((1, 2), x="step", y="loss"), rows((1, 3), x="step", y="loss")
    told = compare_plots(
        scratch, "- plots: {x: step}\n", {"plots/a.json": one}, {"plots/a.json": two, "plots/b.json": two}
    )
    assert [(plot["name"], plot["state"]) for plot in told] == [("plots/a.json", "changed"), ("plots/b.json", "added")]


def test_pictures_stand_side_by_side(scratch: Scratch) -> None:
    """Both within the page; what is no picture, or could hold a script, is refused with a reason."""
    before: dict[str, str | bytes] = {"a.png": make_png(3, 2), "b.png": "none", "c.svg": "<svg/>"}
    after: dict[str, str | bytes] = {"a.png": make_png(3, 3), "b.png": "nothing", "c.svg": "<svg><script/></svg>"}
    compare_plots(scratch, "- a.png\n- b.png\n- c.svg\n", before, after)
    answer = run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD", "--format", "html").out
    assert answer.count('src="data:image/png;base64,') == 2
    assert "c.svg</strong>: is an SVG picture" in answer
    assert "b.png</strong>: is no PNG, JPEG or GIF picture" in answer


def test_a_template_of_the_repository_is_not_run(scratch: Scratch) -> None:
    """It is a stranger's program; the nearest shape of ours is drawn, and that is said."""
    evil = '{"data": {"url": "http://probe.invalid/x.json"}, "mark": "line"}'
    files = {".dvc/plots/confusion_mine.json": evil, "c.csv": "x,y\na,a\nb,a\n"}
    compare_plots(scratch, "- c.csv: {x: x, y: y, template: confusion_mine}\n", files, {"c.csv": "x,y\na,a\nb,b\n"})
    words, (spec,) = draw_plots(scratch)
    assert "drawn as confusion: the repository's own template confusion_mine is not run" in words
    assert "probe" not in json.dumps(spec)


def test_what_is_not_there_is_told(scratch: Scratch) -> None:
    """A declared plot that is nowhere is no silence, in every format."""
    (told,) = compare_plots(scratch, "- gone.csv\n", {}, {})
    assert (told["state"], "is declared, but is not there" in told["reason"]) == ("missing", True)
    assert draw_plots(scratch) == ("", [])
    text = run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD", "--format", "markdown").out
    assert "<details><summary>Plots: 1 can't be read</summary>" in text.replace("&#39;", "'")
    assert "| baseline | `gone.csv` |" in text


def test_not_finite_rows_are_counted(scratch: Scratch) -> None:
    """NaN and Infinity are not drawn, and not passed over either."""
    compare_plots(scratch, "- a.csv: {x: x, y: y}\n", {"a.csv": "x,y\n1,nan\n2,1\n"}, {"a.csv": "x,y\n1,inf\n2,2\n"})
    words, (spec,) = draw_plots(scratch)
    assert "2 rows hold no finite number and are not drawn" in words
    assert [row["y"] for row in spec["data"]["values"]] == [1, 2]


def test_a_million_rows_are_an_even_sample(scratch: Scratch) -> None:
    """The page stays small, and says of how many rows it shows how many."""
    table = "".join(f"{at}\n" for at in range(1_000_000))
    compare_plots(scratch, "- a.csv\n", {"a.csv": f"y\n{table}"}, {"a.csv": f"y\n1\n{table}"})
    words, (spec,) = draw_plots(scratch)
    assert "an even sample of 3,000 of 1,000,001 rows" in words
    drawn = spec["data"]["values"]
    assert len(drawn) == 6_000
    assert (drawn[0]["x"], drawn[2_999]["x"], drawn[2_999]["y"]) == (0, 999_999, 999_999)


def test_plots_that_are_what_they_were_are_not_told(scratch: Scratch) -> None:
    """The facts list them, and the reader is spared."""
    (told,) = compare_plots(scratch, "- a.csv\n", {"a.csv": "y\n1\n2\n"}, {})
    assert told["state"] == "unchanged"
    assert "Plots:" not in run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD", "--format", "markdown").out


def test_a_comment_draws_lines_as_mermaid(scratch: Scratch) -> None:
    """Nothing hosts pictures there."""
    compare_plots(scratch, "- a.csv\n", {"a.csv": "y\n1\n2\n"}, {"a.csv": "y\n1\n3\n"})
    text = run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD", "--format", "markdown").out
    assert "<details><summary>Plots: 1 changed</summary>" in text
    assert "xychart-beta" in text
    assert "![" not in text


def test_a_terminal_reads_no_plots(scratch: Scratch) -> None:
    """Not even one that is broken: nothing shows them there."""
    compare_plots(scratch, "- a.csv\n", {"a.csv": "y\n1\n"}, {"a.csv": b"\xff"})
    assert "Plots" not in run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD").out


def test_files_of_a_plot_are_seen_from_their_dvc_yaml(scratch: Scratch) -> None:
    """A pipeline in a directory names its files from there."""
    declared = "plots:\n- loss:\n    x: {out/a.csv: s}\n    y: {out/a.csv: v}\n"
    scratch.commit({"dvc.yaml": METRICS + "- none.csv\n", "metrics.json": "{\"a\": 1}", "sub/dvc.yaml": declared,
                    "sub/out/a.csv": "s,v\n1,2\n"})  # fmt: skip
    scratch.commit({"sub/out/a.csv": "s,v\n1,3\n"})
    facts = run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD", "--format", "json").facts
    assert {plot["name"]: plot["state"] for plot in facts["plots"]}["sub/loss"] == "changed"


@pytest.mark.parametrize(
    "declared",
    [
        "- a.csv: {y: {}}\n",
        "- a.csv: {y: [], x: []}\n",
        "- a.csv: {x: {}, y: {a.csv: []}}\n",
        "- a.csv: {y: [1, {a: b}], x: {a.csv: {b: c}}}\n",
        "- a.csv: {template: {a: 1}, title: [1], x_label: {}, header: maybe}\n",
        "- p: {y: {../../../etc/passwd: x, /etc/passwd: x, 'http://probe.invalid/x.csv': x}}\n",
        "- p: {x: {a.csv: y}, y: {a.csv: [y, y, y]}}\n",
        "- a.csv: {x: gone, y: y}\n",
        "- a.csv: {x: y, y: y, template: bar_horizontal}\n",
        "- a.csv: {x: y, y: y, template: confusion}\n",
        "- ./a.csv\n",
    ],
)
def test_any_declaration_is_drawn_or_told(scratch: Scratch, declared: str) -> None:
    """Whatever dvc.yaml says of plots, a comparison ends with its verdict, and reads nothing outside."""
    scratch.commit({"dvc.yaml": METRICS + declared, "metrics.json": '{"recall": 0.8}', "a.csv": "y\n1\n2\n"})
    scratch.commit({"a.csv": "y\n1\n3\n", "metrics.json": '{"recall": 0.9}'})
    answer = run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD", "--format", "markdown")
    assert (answer.code, answer.err) == (0, "")
    assert "root:" not in answer.out
    assert "<summary>Plots:" in answer.out
    draw_plots(scratch)


def test_plots_are_written_as_files(scratch: Scratch) -> None:
    """Those that changed, as SVG and as PNG, beside what is there already."""
    compare_plots(scratch, "- a.csv: {title: Loss}\n- b.csv\n", {"a.csv": "y\n1\n2\n", "b.csv": "y\n1\n"},
                  {"a.csv": "y\n1\n3\n"})  # fmt: skip
    scratch.write({"drawn/notes.txt": "mine"})
    answer = run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD", "--plots", "drawn", "--quiet")
    assert (answer.out, answer.err) == ("", "")
    names = sorted(path.name for path in (scratch.directory / "drawn").iterdir())
    assert names == ["a-csv.png", "a-csv.svg", "notes.txt"]
