"""Names of metrics, and what they tell."""

from __future__ import annotations

import pytest

from seatrial.core.metrics import Direction, MetricId, guess_direction
from seatrial.core.naming import label_metrics


@pytest.mark.parametrize(
    ("dotted", "direction"),
    [
        ("recall", Direction.HIGHER),
        ("cv.roc_auc.mean", Direction.HIGHER),
        ("mAP50-95(B)", Direction.HIGHER),
        ("NDCG@5", Direction.HIGHER),
        ("f1.macro", Direction.HIGHER),
        ("log_loss", Direction.LOWER),
        ("mean_squared_error", Direction.LOWER),
        ("train.seconds", Direction.LOWER),
        ("cv.roc_auc.std", None),
        ("gap.roc_auc", None),
        ("folds.0.scored_from", None),
        ("flights", None),
        ("", None),
    ],
)
def test_the_usual_names_tell_the_direction(dotted: str, direction: Direction | None) -> None:
    """What a reader would guess, and nothing where a reader would not know."""
    assert guess_direction(tuple(dotted.split("."))) is direction


def name(file: str, *key: str) -> MetricId:
    return MetricId(file=file, key=key)


def test_a_unique_key_is_label_enough() -> None:
    """Paths are left out where nothing else has the name."""
    assert list(label_metrics([name("a.json", "f1"), name("b.json", "recall")]).values()) == ["f1", "recall"]


def test_labels_differ_by_the_part_of_the_path_that_differs() -> None:
    """What all paths share tells nothing."""
    ids = [name(f"reports/{model}/metrics.json", "recall") for model in ("boosting", "network")]
    assert list(label_metrics(ids).values()) == ["boosting: recall", "network: recall"]


def test_a_part_with_a_dot_is_quoted() -> None:
    """{"a.b": 1} and {"a": {"b": 1}} are two metrics."""
    assert str(name("m.json", "a.b")) == 'm.json:"a.b"'
    assert str(name("m.json", "a", "b")) == "m.json:a.b"
