"""What a seatrial.yaml may say, as msgspec checks it and as its JSON Schema tells editors."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Limit = Annotated[int | float | str, Meta(description="A limit on the candidate's value, in the metric's own unit.")]
Tolerance = Annotated[
    int | float | str,
    Meta(description="A tolerance: 0.002 is in the metric's own unit, 1% is a share of the baseline's value."),
]
Level = Literal["fail", "warn", "info"]
Pattern = Annotated[
    str,
    Meta(description="`FILE:KEY`, or KEY alone for any file; * and ? match: `reports/*/metrics.json:recall`."),
]


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
    severity: Annotated[Level, Meta(description="What a breach does.")] = "fail"


class RawThreshold(Struct, forbid_unknown_fields=True):
    """A threshold that is a parameter of the project, read on each side."""

    param: Annotated[str, Meta(description="`FILE:KEY` of the parameter, such as params.yaml:evaluate.threshold.")]


class RawEvaluation(Struct, forbid_unknown_fields=True):
    """Per-sample predictions of a binary classifier, from which the uncertainty of its metrics is known."""

    predictions: Annotated[str, Meta(description="Path of the predictions table (parquet, CSV or JSON lines).")]
    metrics: Annotated[str, Meta(description="Path of the metrics file that was computed from these predictions.")]
    key: Annotated[str, Meta(description="Column that identifies a sample.")]
    label: Annotated[str, Meta(description="Column with the true label, 0 or 1.")]
    score: Annotated[str, Meta(description="Column with the predicted probability of label 1.")]
    threshold: Annotated[
        int | float | RawThreshold, Meta(description="Score from which on a sample is predicted positive.")
    ] = 0.5
    group: Annotated[
        str | None,
        Meta(description="Column of what samples have in common (a user, an aircraft); they err together then."),
    ] = None


class RawConfig(Struct, forbid_unknown_fields=True):
    """What a seatrial.yaml may say."""

    version: Annotated[Literal[1], Meta(description="Version of this file's format.")]
    metrics: Annotated[dict[Pattern, RawRule], Meta(description="Gates by metric.")] = {}
    evaluations: Annotated[tuple[RawEvaluation, ...], Meta(description="Where intervals come from.")] = ()
    stale: Annotated[
        Level,
        Meta(description="What it does that the metrics were not made by this revision's code, data and parameters."),
    ] = "warn"
    on_broken: Annotated[
        Level,
        Meta(description="What a candidate's metric does that is missing, unreadable or not finite, gated or not."),
    ] = "fail"
    on_inconclusive: Annotated[Level, Meta(description="What a gate does that can't be judged.")] = "fail"
