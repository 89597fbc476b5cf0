"""Names of the metrics that predictions can give; free of numpy, so that checking a configuration is fast."""

from __future__ import annotations

# Metrics of decisions: they need a threshold on the score.
DECISION_METRICS: tuple[str, ...] = ("accuracy", "precision", "recall", "specificity", "f1")
# Metrics of the scores themselves.
SCORE_METRICS: tuple[str, ...] = ("roc_auc", "average_precision", "log_loss", "brier")
METRIC_NAMES: tuple[str, ...] = DECISION_METRICS + SCORE_METRICS
DEFAULT_THRESHOLD = 0.5
