"""Sides that are summed part by part: the same answers as of sides that are held in memory."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seatrial.commands.answers import SidedError
from seatrial.commands.engines import LocalParts, can_be_summed
from seatrial.commands.matching import Match, PairedMatch
from seatrial.commands.summing import SummedMatch
from seatrial.config import parse_config
from seatrial.config.evaluations import Evaluation
from seatrial.core.comparison import Side
from seatrial.sources import streams
from seatrial.sources.predictions import Cuts, Predictions, pair_predictions, read_predictions
from seatrial.sources.streams import Origin, Spilled, choose_parts, spill
from seatrial.stats.names import Measure
from seatrial.stats.paired import Estimate, Insufficient

ROWS = 20_000
PARTS = 7
RANKS = {"roc_auc", "average_precision"}

BINARY = """
  task: binary
  key: [day, id]
  label: y
  score: p
  metrics: [roc_auc, average_precision, log_loss, brier, accuracy, f1, mcc, {recall: {at: 0.4}}]
"""
CUTS = """
  slices:
    by: [carrier, [carrier, origin]]
    where: {night: hour >= 20}
    min_n: 300
    gates: [{accuracy: {not_harmed: 1}}, {roc_auc: {not_harmed: 1}}]
  gaps: [{metric: recall, by: carrier, max_gap: 1}]
"""
POLICIES = {
    "binary": BINARY + CUTS,
    "clusters": BINARY + "  group: tail\n" + CUTS.partition("  gaps")[0],
    "regression": """
  task: regression
  key: [day, id]
  label: late
  prediction: guess
  metrics: [rmse, mae, r2, wape, {pinball: {quantile: 0.9}}]
  slices: {by: [carrier], min_n: 300, gates: [{rmse: {not_harmed: 1}}]}
""",
    "scores": """
  task: scores
  key: [day, id]
  query: prompt
  score: guess
  metrics: [mean]
  slices: {by: [language], min_n: 100, gates: [{mean: {not_harmed: 1}}]}
""",
}


def build(policy: str) -> Evaluation:
    """The one evaluation of a policy."""
    text = f"version: 1\nevaluations:\n- name: e\n  predictions: p.parquet\n{policy}"
    (evaluation,) = parse_config(text.encode()).evaluations
    return evaluation


def answers(seed: int, rows: int = ROWS) -> pl.DataFrame:
    """One model's answers, for every task at once, in an order of its own."""
    truth, draw = np.random.default_rng(7), np.random.default_rng(seed)
    label = truth.random(rows) < 0.35
    late = truth.normal(100, 20, rows)
    number = np.arange(rows)
    return pl.DataFrame(
        {
            "id": number % 500,
            "day": number // 500,
            "y": label,
            "p": np.clip(0.3 + 0.3 * label + draw.normal(0, 0.2, rows), 0, 1),
            "late": late,
            "guess": late + draw.normal(0, 5, rows),
            "prompt": number // 4,
            "language": [("de", "en", "fr")[i // 4 % 3] for i in number],
            "carrier": [("AA", "DL", "UA", "rare")[3 if i % 100 == 0 else i % 3] for i in number],
            "origin": [("EWR", "JFK")[i // 3 % 2] for i in number],
            "hour": number % 24,
            "tail": [f"N{i % 400}" for i in number],
        }
    ).sample(fraction=1, shuffle=True, seed=seed)


def write(table: pl.DataFrame, path: Path, evaluation: Evaluation) -> Origin:
    """The table as a Parquet file."""
    table.write_parquet(path)
    slicing = evaluation.slicing
    by = (*(slicing.columns if slicing else ()), *(gap.by for gap in evaluation.gaps))
    cuts = Cuts(columns=tuple(dict.fromkeys(by)), where=slicing.where if slicing else ())
    return Origin(source=path, path="p.parquet", task=evaluation.task, columns=evaluation.columns, cuts=cuts)


def hold(origin: Origin) -> Predictions:
    """The file in memory."""
    return read_predictions(origin.source, path=origin.path, task=origin.task, columns=origin.columns, cuts=origin.cuts)


def prepare(
    base: pl.DataFrame, head: pl.DataFrame, evaluation: Evaluation, place: Path, parts: int = PARTS
) -> tuple[PairedMatch, SummedMatch]:
    """The same two sides, held and summed."""
    origins = [write(table, place / f"{i}.parquet", evaluation) for i, table in enumerate((base, head))]
    pairs = pair_predictions(hold(origins[0]), hold(origins[1]))
    before, after = (spill(origin, place / f"spilled{i}", parts) for i, origin in enumerate(origins))
    summed = SummedMatch(
        engine=LocalParts(base=before, head=after, directory=place),
        evaluation=evaluation,
        measures=evaluation.measures,
        thresholds=(0.5, 0.45),
    )
    return PairedMatch.of(pairs, (0.5, 0.45)), summed


def flatten(match: Match, evaluation: Evaluation) -> dict[str, Estimate | Insufficient]:
    """Every answer of a match by name."""
    found = {str(measure): answer for measure, answer in match.estimate(evaluation.measures).items()}
    for cut in match.cut(evaluation.slicing) if evaluation.slicing else ():
        for code, answered in cut.answers.items():
            found |= {f"{measure} [{cut.names[code]}]": answer for measure, answer in answered.items()}
    return found


def check_same(held: Estimate | Insufficient, summed: Estimate | Insufficient, name: str) -> None:
    """Equal to rounding; what is known of ranks by bins, to the bound that it tells."""
    if isinstance(held, Insufficient) or isinstance(summed, Insufficient):
        assert held == summed, name
        return
    fields = ("base", "head", "se", "low", "high", "p_lower", "p_higher", "head_low", "head_high", "df")
    told = {field: getattr(summed, field) for field in fields}
    wanted = {field: getattr(held, field) for field in fields}
    assert (summed.n, summed.support, summed.method) == (held.n, held.support, held.method), name
    if name.partition(" ")[0] not in RANKS:
        assert told == pytest.approx(wanted, rel=1e-9, abs=1e-12), name
        return
    told_off = re.search(r"the value may be (\S+) off", summed.caution)
    bound = float(told_off[1]) * 1.1 if told_off else 1e-12  # it is told with one digit
    assert abs(summed.base - held.base) <= bound
    assert abs(summed.head - held.head) <= bound
    # In practice it is far nearer than the worst case that is told.
    assert abs(summed.head - held.head) < (5e-3 if "[" in name else 5e-4), summed
    assert summed.se == pytest.approx(held.se, rel=0.02)


@pytest.mark.parametrize("name", POLICIES)
def test_the_same_answers_as_in_memory(name: str, tmp_path: Path) -> None:
    """Metrics as a whole and by slice, sizes of slices, gaps, flips and what the sets have in common."""
    evaluation = build(POLICIES[name])
    held, summed = prepare(answers(1), answers(2), evaluation, tmp_path)
    wanted, found = flatten(held, evaluation), flatten(summed, evaluation)
    assert wanted.keys() == found.keys()
    assert len(wanted) > len(evaluation.measures)
    for key, answer in wanted.items():
        check_same(answer, found[key], key)
    assert evaluation.slicing is not None
    sizes = [
        [dict(zip(cut.names, cut.sizes, strict=True)) for cut in match.cut(evaluation.slicing)]
        for match in (held, summed)
    ]
    assert sizes[0] == sizes[1]
    for gap in evaluation.gaps:
        apart = [(one.gap, one.names, one.small) for one in (match.compare_groups(gap) for match in (held, summed))]
        assert apart[0] == apart[1]
    assert held.pairs is not None
    flips, told = held.find_flips(), summed.find_flips()
    assert flips == told
    for fact in ("n_base", "n_head", "n_common", "labels_changed", "only_base", "only_head"):
        assert getattr(summed.overlap, fact) == getattr(held.pairs, fact)


def test_sides_that_differ_in_rows_and_labels(tmp_path: Path) -> None:
    """What is missing, new and relabelled is counted over all parts, and named by the first keys."""
    evaluation = build(POLICIES["regression"])
    base = answers(1).filter(pl.col("day") > 0)
    head = (
        answers(2).filter(pl.col("day") < 39).with_columns(late=pl.when(pl.col("id") == 3).then(0.5).otherwise("late"))
    )
    held, summed = prepare(base, head, evaluation, tmp_path)
    assert held.pairs is not None
    assert summed.overlap.n_common == held.pairs.n_common == ROWS - 1000
    assert summed.overlap.labels_changed == held.pairs.labels_changed == 38
    assert summed.overlap.only_base == held.pairs.only_base
    assert summed.overlap.only_head == held.pairs.only_head
    for key, answer in flatten(held, evaluation).items():
        check_same(answer, flatten(summed, evaluation)[key], key)


def test_keys_of_another_type_meet(tmp_path: Path) -> None:
    """Whole numbers on one side and their text on the other fall into the same parts."""
    evaluation = build("  task: binary\n  key: n\n  label: y\n  score: p\n  metrics: [accuracy]\n")
    base, head = (answers(seed).with_columns(n=pl.col("day") * 500 + pl.col("id")) for seed in (1, 2))
    held, summed = prepare(base, head.with_columns(pl.col("n").cast(pl.String)), evaluation, tmp_path)
    assert summed.overlap.n_common == ROWS
    accuracy = Measure(name="accuracy")
    check_same(held.estimate([accuracy])[accuracy], summed.estimate([accuracy])[accuracy], "accuracy")


def test_more_parts_than_rows(tmp_path: Path) -> None:
    """Empty parts are nothing special."""
    evaluation = build(POLICIES["binary"])
    held, summed = prepare(answers(1, 40), answers(2, 40), evaluation, tmp_path, parts=60)
    for key, answer in flatten(held, evaluation).items():
        check_same(answer, flatten(summed, evaluation)[key], key)


@pytest.mark.parametrize("name", ["binary", "regression", "scores"])
def test_the_first_measurement(name: str, tmp_path: Path) -> None:
    """Without a baseline, what is said of the candidate is the same."""
    evaluation = build(POLICIES[name])
    origin = write(answers(1), tmp_path / "p.parquet", evaluation)
    engine = LocalParts(base=None, head=spill(origin, tmp_path / "spilled", PARTS), directory=tmp_path)
    summed = SummedMatch(engine=engine, evaluation=evaluation, measures=evaluation.measures, thresholds=(0.5, 0.5))
    held = PairedMatch.alone(hold(origin), 0.5)
    assert not summed.has_baseline
    assert summed.find_flips() is None
    for key, answer in flatten(held, evaluation).items():
        found = flatten(summed, evaluation)[key]
        assert (found.head is None) == (answer.head is None)
        if isinstance(answer, Estimate) and key.partition(" ")[0] not in RANKS:
            assert isinstance(found, Estimate)
            told = (found.head, found.head_low, found.head_high)
            assert told == pytest.approx((answer.head, answer.head_low, answer.head_high), rel=1e-9)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"p": pl.when(pl.col("id") == 7).then(1.5).otherwise("p")}, "column 'p' is no probability"),
        ({"p": pl.when(pl.col("id") != 7).then("p")}, "column 'p' is empty in at least "),
        ({"n": pl.col("n") // 2}, "the key n is not unique in at least "),
    ],
)
def test_rows_that_can_t_be_used(change: dict[str, pl.Expr], reason: str, tmp_path: Path) -> None:
    """They are found in whatever part they are, and the side is named."""
    evaluation = build("  task: binary\n  key: n\n  label: y\n  score: p\n  metrics: [accuracy]\n")
    table = answers(1).with_columns(n=pl.col("day") * 500 + pl.col("id"))
    sides = [
        spill(write(side, tmp_path / f"{i}", evaluation), tmp_path / f"spilled{i}", PARTS)
        for i, side in enumerate((table, table.with_columns(**change)))
    ]

    def match(base: Spilled, head: Spilled) -> SummedMatch:
        place = tmp_path / f"parts of {base.file.name}"
        place.mkdir()
        engine = LocalParts(base=base, head=head, directory=place)
        return SummedMatch(engine=engine, evaluation=evaluation, measures=evaluation.measures, thresholds=(0.5, 0.5))

    for sound, broken, side in ((0, 1, Side.HEAD), (1, 0, Side.BASE)):
        with pytest.raises(SidedError) as caught:
            assert match(sides[sound], sides[broken]).overlap
        assert caught.value.side is side
        assert f"p.parquet: {reason}" in caught.value.cause.message
        assert "of 20,000 rows" in caught.value.cause.message


def test_what_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows count where the format tells them, bytes elsewhere; a directory counts as a whole."""
    evaluation = build(POLICIES["binary"])
    origin = write(answers(1), tmp_path / "p.parquet", evaluation)
    both = Origin(
        source=(tmp_path / "p.parquet",) * 2,
        path="p/*.parquet",
        task=origin.task,
        columns=origin.columns,
        cuts=origin.cuts,
    )
    found = []
    for most in (2 * ROWS, 2 * ROWS - 1, ROWS - 1):
        monkeypatch.setattr(streams, "MOST_ROWS", most)
        found.append((origin.is_large, both.is_large))
    assert found == [(False, False), (False, True), (True, True)]
    assert [choose_parts(rows) for rows in ((), (0,), (1_000_000, 5), (1_000_001,))] == [1, 1, 1, 2]


def test_what_can_be_summed() -> None:
    """Tasks whose metrics are sums, of pairs, without weights; the others are held whatever their size."""
    assert all(can_be_summed(build(policy)) for policy in POLICIES.values())
    assert not can_be_summed(build(POLICIES["binary"] + "  weight: w\n"))
    assert not can_be_summed(build(POLICIES["binary"] + "  same_eval_set: unpaired\n"))
