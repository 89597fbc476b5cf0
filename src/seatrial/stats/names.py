"""The metrics that predictions can give, by task; free of numpy, so that checking a configuration is fast."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

DEFAULT_THRESHOLD = 0.5
DEFAULT_CUTOFF = 10
DEFAULT_QUANTILE = 0.5


class Task(str, Enum):
    """What the model predicts for a row."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    RANKING = "ranking"
    SCORES = "scores"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One metric with its settings, the key of every answer about it.

    `at` is the threshold from which a score counts as positive (None: the evaluation's own), `k` how far down a ranking
    or among how many classes is looked, `beta` the weight of recall in F-beta, `quantile` the one of the pinball loss.
    """

    name: str
    at: float | None = None
    k: int | None = None
    beta: float | None = None
    quantile: float | None = None

    def __str__(self) -> str:
        """The metric as it is written in reports: `recall@0.4`, `ndcg@10`, `f_beta(2)`, `pinball(0.9)`."""
        inner = self.beta if self.beta is not None else self.quantile
        name = self.name if inner is None else f"{self.name}({inner:g})"
        cut = self.at if self.at is not None else self.k
        return name if cut is None else f"{name}@{cut:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """What a configuration needs to know of a metric.

    `settings` are the fields of `Measure` that it takes. `low` and `high` bound its value; None is unbounded.
    """

    name: str
    higher_is_better: bool = True
    settings: tuple[str, ...] = ()
    low: float | None = 0.0
    high: float | None = 1.0

    @property
    def is_of_decisions(self) -> bool:
        """Whether it needs a threshold on the score, and sees nothing of the score but its side of that."""
        return "at" in self.settings


def _specs(*specs: MetricSpec) -> dict[str, MetricSpec]:
    return {spec.name: spec for spec in specs}


def _loss(name: str, *settings: str, high: float | None = None) -> MetricSpec:
    return MetricSpec(name=name, higher_is_better=False, settings=settings, high=high)


def _decision(name: str, *settings: str, low: float = 0.0) -> MetricSpec:
    return MetricSpec(name=name, settings=("at", *settings), low=low)


SPECS: dict[Task, dict[str, MetricSpec]] = {
    Task.BINARY: _specs(
        _decision("accuracy"),
        _decision("precision"),
        _decision("recall"),
        _decision("specificity"),
        _decision("f1"),
        _decision("f_beta", "beta"),
        _decision("balanced_accuracy"),
        _decision("mcc", low=-1.0),
        _decision("kappa", low=-1.0),
        MetricSpec(name="roc_auc"),
        MetricSpec(name="average_precision"),
        _loss("log_loss"),
        _loss("brier", high=1.0),
    ),
    Task.MULTICLASS: _specs(
        MetricSpec(name="accuracy"),
        MetricSpec(name="balanced_accuracy"),
        MetricSpec(name="precision_macro"),
        MetricSpec(name="recall_macro"),
        MetricSpec(name="f1_macro"),
        MetricSpec(name="f1_micro"),
        MetricSpec(name="f1_weighted"),
        MetricSpec(name="mcc", low=-1.0),
        MetricSpec(name="kappa", low=-1.0),
        MetricSpec(name="top_k", settings=("k",)),
        MetricSpec(name="roc_auc_macro"),
        _loss("log_loss"),
        _loss("brier", high=2.0),
    ),
    Task.REGRESSION: _specs(
        _loss("mse"),
        _loss("rmse"),
        _loss("mae"),
        _loss("mape"),
        _loss("wape"),
        _loss("pinball", "quantile"),
        MetricSpec(name="r2", low=None),
    ),
    Task.RANKING: _specs(
        MetricSpec(name="ndcg", settings=("k",)),
        MetricSpec(name="recall", settings=("k",)),
        MetricSpec(name="precision", settings=("k",)),
        MetricSpec(name="map"),
        MetricSpec(name="mrr"),
    ),
    Task.SCORES: _specs(MetricSpec(name="mean", low=None, high=None)),
}
