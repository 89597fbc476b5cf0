"""What a seatrial.yaml may say, as msgspec checks it and as its JSON Schema tells editors."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from seatrial.config.raw_environments import RawEnvironment

Limit = Annotated[int | float | str, Meta(description="A limit on the candidate's value, in the metric's own unit.")]
Tolerance = Annotated[
    int | float | str,
    Meta(description="A tolerance: 0.002 is in the metric's own unit, 1% is a share of the baseline's value."),
]
RowLimit = Annotated[int | float | str, Meta(description="At most so many rows: a count, or a share (2%).")]
Level = Literal["fail", "warn", "info"]
Pattern = Annotated[
    str,
    Meta(description="`FILE:KEY`, or KEY alone for any file; * and ? match: `reports/*/metrics.json:recall`."),
]


def list_names(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """The names where one may be written by itself."""
    return (value,) if isinstance(value, str) else value


class RawRule(Struct, forbid_unknown_fields=True):
    """Gates on a scalar metric."""

    direction: Annotated[
        Literal["higher", "lower"] | UnsetType,
        Meta(description="Which way is better; guessed by name if absent."),
    ] = UNSET
    at_least: Limit | UnsetType = UNSET
    at_most: Limit | UnsetType = UNSET
    max_decrease: Tolerance | UnsetType = UNSET
    max_increase: Tolerance | UnsetType = UNSET
    max_change: Tolerance | UnsetType = UNSET
    no_worse_than: Annotated[
        Tolerance | UnsetType, Meta(description="The candidate must prove by `test` that it is not worse by this much.")
    ] = UNSET
    better_by: Annotated[
        Tolerance | UnsetType,
        Meta(description="The candidate must prove by `test` that it is better by more than this."),
    ] = UNSET
    test: Annotated[
        Literal["nadeau-bengio", "welch", "history"] | UnsetType,
        Meta(description="What the values are: a list over the same folds, a list over seeds, or one value a commit."),
    ] = UNSET
    test_train_ratio: Annotated[
        int | float | str | UnsetType, Meta(description="Of folds: size of the test part over the training part, 1/9.")
    ] = UNSET
    severity: Annotated[Level, Meta(description="What a breach does.")] = "fail"


class RawThreshold(Struct, forbid_unknown_fields=True):
    """A threshold that is a parameter of the project, read on each side."""

    param: Annotated[str, Meta(description="`FILE:KEY` of the parameter, such as params.yaml:evaluate.threshold.")]


class RawMeasure(Struct, forbid_unknown_fields=True):
    """Settings of a metric."""

    at: Annotated[float | None, Meta(description="Threshold of decisions; the evaluation's own if absent.")] = None
    k: Annotated[Annotated[int, Meta(ge=1)] | None, Meta(description="How many of the best answers count.")] = None
    beta: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="Weight of recall in f_beta.")] = None
    quantile: Annotated[
        Annotated[float, Meta(gt=0, lt=1)] | None, Meta(description="Quantile of the pinball loss.")
    ] = None


class RawGate(RawMeasure, forbid_unknown_fields=True):
    """What a metric of an evaluation must show."""

    no_worse_than: Annotated[
        Tolerance | UnsetType, Meta(description="The candidate must prove that it is not worse by this much.")
    ] = UNSET
    not_harmed: Annotated[Tolerance | UnsetType, Meta(description="Proven harm beyond this is a breach.")] = UNSET
    better_by: Annotated[
        Tolerance | UnsetType, Meta(description="The candidate must prove that it is better by more than this.")
    ] = UNSET
    at_most_better_by: Annotated[Tolerance | UnsetType, Meta(description="More than this is too good to be true.")] = (
        UNSET
    )
    at_least: Limit | UnsetType = UNSET
    at_most: Limit | UnsetType = UNSET
    bound: Annotated[
        Literal["point", "lower", "upper"],
        Meta(description="What is held against at_least and at_most: the value, or the end of its interval."),
    ] = "point"
    severity: Annotated[Level, Meta(description="What a breach does.")] = "fail"


class RawSlices(Struct, forbid_unknown_fields=True):
    """Parts of the evaluation set that are judged on their own."""

    by: Annotated[
        tuple[str | tuple[str, ...], ...], Meta(description="Columns, or lists of columns whose values are crossed.")
    ] = ()
    where: Annotated[dict[str, str], Meta(description="Named conditions on columns: `hour >= 22 or hour < 5`.")] = {}
    min_n: Annotated[int, Meta(description="Slices with fewer samples are counted, not tested.", ge=2)] = 200
    correction: Annotated[
        Literal["benjamini-hochberg", "holm", "none"], Meta(description="How the number of slices is allowed for.")
    ] = "benjamini-hochberg"
    q: Annotated[float, Meta(description="Rate of false alarms among the slices called worse.", gt=0, lt=1)] = 0.05
    gates: Annotated[tuple[dict[str, RawGate], ...], Meta(description="What every slice must show.")] = ()
    required: Annotated[
        tuple[str, ...], Meta(description="Slices that must be there with min_n samples: `carrier=UA`, or a condition.")
    ] = ()


class RawFlips(Struct, forbid_unknown_fields=True):
    """A limit on the samples that the candidate newly gets wrong."""

    max_newly_wrong: Annotated[int | float | str, Meta(description="A count, or a share of all samples (2%).")]
    severity: Annotated[Level, Meta(description="What a breach does.")] = "fail"


class RawGap(RawMeasure, forbid_unknown_fields=True, kw_only=True):
    """A limit on how far apart groups may lie."""

    metric: Annotated[str, Meta(description="The metric whose largest difference between groups counts.")]
    by: Annotated[str, Meta(description="Column of the groups.")]
    min_n: Annotated[int, Meta(description="Groups with fewer samples are left out, and counted.", ge=2)] = 100
    max_gap: Limit | UnsetType = UNSET
    max_gap_increase: Annotated[Tolerance | UnsetType, Meta(description="Proven widening beyond this is a breach.")] = (
        UNSET
    )
    bound: Annotated[
        Literal["point", "upper"], Meta(description="What is held against max_gap: the gap, or its interval's end.")
    ] = "point"
    severity: Annotated[Level, Meta(description="What a breach does.")] = "fail"


class RawBudget(Struct, forbid_unknown_fields=True):
    """How often one evaluation set may be used to choose a model before it is worn out."""

    data: Annotated[str, Meta(description="The output of DVC that holds the evaluation set.")]
    max: Annotated[int, Meta(description="So many models of the main branch may be judged on it.", ge=1)]
    severity: Annotated[Level, Meta(description="What a breach does.")] = "warn"


class RawEvaluation(Struct, forbid_unknown_fields=True):
    """Per-sample predictions of a model, from which its metrics and their uncertainty are known."""

    predictions: Annotated[str, Meta(description="Path of the predictions (Parquet, CSV, JSON lines or Arrow).")]
    key: Annotated[str | tuple[str, ...], Meta(description="Column, or columns, that identify a sample.")]
    name: Annotated[str | None, Meta(description="What reports call it; the path of its predictions if absent.")] = None
    task: Annotated[
        Literal["binary", "multiclass", "regression", "ranking", "scores"], Meta(description="What is predicted.")
    ] = "binary"
    label: Annotated[str | None, Meta(description="Column of the truth: 0 or 1, a class, a number, a relevance.")] = (
        None
    )
    score: Annotated[
        str | None,
        Meta(description="Column of the probability of 1 (binary), the ranking's order, or the graded score."),
    ] = None
    prediction: Annotated[str | None, Meta(description="Column of the predicted class or number.")] = None
    probabilities: Annotated[
        dict[str, str], Meta(description="Of several classes: the column of each one's probability.")
    ] = {}
    query: Annotated[str | None, Meta(description="Of a ranking: the column that names the query.")] = None
    weight: Annotated[str | None, Meta(description="Column of how much a sample counts.")] = None
    group: Annotated[
        str | None,
        Meta(description="Column of what samples have in common (a user, an aircraft); they err together then."),
    ] = None
    threshold: Annotated[
        int | float | RawThreshold, Meta(description="Score from which on a sample is predicted positive.")
    ] = 0.5
    metrics_file: Annotated[
        str | None,
        Meta(description="The metrics file that was computed from these predictions: its values get intervals."),
    ] = None
    metrics: Annotated[tuple[str | dict[str, RawMeasure], ...], Meta(description="What is measured and shown.")] = ()
    same_eval_set: Annotated[
        Literal["require", "intersect", "unpaired"],
        Meta(description="What is done where the two sides were evaluated on different samples."),
    ] = "require"
    gates: Annotated[tuple[dict[str, RawGate], ...], Meta(description="What the metrics must show.")] = ()
    slices: Annotated[RawSlices | None, Meta(description="Parts that are judged on their own.")] = None
    flips: Annotated[RawFlips | None, Meta(description="A limit on newly wrong samples.")] = None
    gaps: Annotated[tuple[RawGap, ...], Meta(description="Limits on differences between groups (fairness).")] = ()
    budget: Annotated[RawBudget | None, Meta(description="A limit on the reuse of the evaluation set.")] = None


class RawLeakage(Struct, forbid_unknown_fields=True):
    """A limit on the keys that a table shares with others."""

    others: Annotated[
        str | tuple[str, ...] | None,
        Meta(description="Names of the other tables; all of role evaluation if absent."),
    ] = field(default=None, name="with")
    max_shared: Annotated[int | float | str, Meta(description="A count, or a share of the table's rows (0.1%).")] = 0
    severity: Annotated[Level, Meta(description="What a breach does.")] = "fail"


class RawDrift(Struct, forbid_unknown_fields=True):
    """A limit on how far the distribution of any column may move."""

    max_psi: Annotated[
        int | float | str,
        Meta(description="The largest population stability index; auto is 0.1, or what so few rows explain by chance."),
    ] = "auto"
    against: Annotated[
        str | None, Meta(description="Name of another table of the candidate; the table's own baseline if absent.")
    ] = None
    ignore: Annotated[tuple[str, ...], Meta(description="Columns that may drift; * and ? match.")] = ()
    severity: Annotated[Level, Meta(description="What a breach does.")] = "warn"


class RawTable(Struct, forbid_unknown_fields=True):
    """A table that a model is trained or evaluated on, compared row by row."""

    path: Annotated[str, Meta(description="Path of the table (Parquet, CSV, JSON lines or Arrow).")]
    key: Annotated[str | tuple[str, ...], Meta(description="Column, or columns, that identify a row.")]
    name: Annotated[str | None, Meta(description="What reports call it; its path if absent.")] = None
    role: Annotated[
        Literal["train", "evaluation"] | None,
        Meta(description="What it is for: no training table may share a key with an evaluation table."),
    ] = None
    label: Annotated[str | None, Meta(description="Column of the truth, whose changes are counted as flips.")] = None
    columns: Annotated[
        tuple[str, ...] | None, Meta(description="Columns that are compared; * and ? match; all if absent.")
    ] = None
    ignore: Annotated[tuple[str, ...], Meta(description="Columns that are not compared; * and ? match.")] = ()
    max_rows_added: RowLimit | UnsetType = UNSET
    max_rows_removed: RowLimit | UnsetType = UNSET
    max_rows_changed: RowLimit | UnsetType = UNSET
    max_label_flips: RowLimit | UnsetType = UNSET
    severity: Annotated[Level, Meta(description="What a breach of a limit on rows does.")] = "fail"
    schema: Annotated[
        Level | UnsetType, Meta(description="What it does that columns came, went or changed their type.")
    ] = UNSET
    leakage: Annotated[RawLeakage | None, Meta(description="A limit on keys shared with other tables.")] = None
    drift: Annotated[RawDrift | None, Meta(description="A limit on the drift of columns.")] = None


class RawWaiver(Struct, forbid_unknown_fields=True):
    """A gate that may fail for a while, and why."""

    gate: Annotated[str, Meta(description="KEY, FILE:KEY or EVALUATION:KEY of the gate's metric; * and ? match.")]
    reason: Annotated[str, Meta(description="Why, as every report prints it.", min_length=1)]
    until: Annotated[str, Meta(description="The last day on which it holds: 2026-12-31.", pattern=r"^\d{4}-\d\d-\d\d$")]


class RawReleases(Struct, frozen=True, forbid_unknown_fields=True):
    """What may be released."""

    pickles: Annotated[
        tuple[str, ...],
        Meta(
            description="Files of a model that may be released although loading them runs whatever their author wrote."
        ),
    ] = ()


class RawConfig(Struct, forbid_unknown_fields=True):
    """What a seatrial.yaml may say."""

    version: Annotated[Literal[1], Meta(description="Version of this file's format.")]
    metrics: Annotated[dict[Pattern, RawRule], Meta(description="Gates by metric.")] = {}
    evaluations: Annotated[tuple[RawEvaluation, ...], Meta(description="Where intervals come from.")] = ()
    tables: Annotated[tuple[RawTable, ...], Meta(description="Tables that are compared row by row.")] = ()
    waivers: Annotated[tuple[RawWaiver, ...], Meta(description="Gates that may fail for a while.")] = ()
    releases: Annotated[RawReleases, Meta(description="What may be released.")] = RawReleases()
    environments: Annotated[dict[str, RawEnvironment], Meta(description="Where models are deployed to, by name.")] = {}
    stale: Annotated[
        Level,
        Meta(description="What it does that the metrics were not made by this revision's code, data and parameters."),
    ] = "warn"
    on_broken: Annotated[
        Level,
        Meta(description="What a candidate's metric does that is missing, unreadable or not finite, gated or not."),
    ] = "fail"
    on_inconclusive: Annotated[Level, Meta(description="What a gate does that can't be judged.")] = "fail"
