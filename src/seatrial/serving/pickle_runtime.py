"""scikit-learn models in pickles, which joblib loads as well: loading one runs whatever its author wrote.

They come here only if the policy of their project names them and whoever loads them allows it; from then on they
are called as those in skops files are.
"""

from __future__ import annotations

from pathlib import Path

from seatrial.errors import ServeError
from seatrial.serving.card import ModelCard
from seatrial.serving.runtimes import Runtime, explain_missing
from seatrial.serving.skops_runtime import wrap_estimator


def load_pickle(path: Path, card: ModelCard) -> Runtime:
    """Load a model, which runs its code; ServeError where it can't be loaded, or can't answer."""
    try:
        import joblib
    except ImportError as error:
        raise explain_missing("joblib", "sklearn") from error
    try:
        estimator = joblib.load(path)
    except Exception as error:  # a pickle may raise whatever it likes
        raise ServeError(f"{path}: joblib can't load it: {type(error).__name__}: {error}") from error
    return wrap_estimator(path, estimator, card)
