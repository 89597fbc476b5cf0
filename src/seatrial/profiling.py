"""`profile.json` beside a model: what its inputs looked like, for `seatrial serve` to tell when they no longer do.

    from seatrial.profiling import write_profile
    write_profile("models/champion", names=columns, features=test[columns], scores=model.predict_proba(test)[:, 1])

Needs numpy (`seatrial[serving]` or `seatrial[stats]`). `seatrial.core.profile` describes the file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seatrial.core.profile import PROFILE, Column, FeatureColumn, Profile, check_profile, encode_profile
from seatrial.errors import ServeError, UsageError
from seatrial.stats.drift import count_numbers, find_edges


def write_profile(
    directory: str | Path, *, names: Sequence[str], features: ArrayLike, scores: ArrayLike | None = None
) -> Path:
    """Write the profile of `features` (rows, names) and of their predictions (rows,) into a model's directory.

    The rows are those that the model was judged on, as the model takes them: encoded and normalised. Categories are
    columns of 0 and 1; NaN is missing. Leave out features that have to change all the time, such as a date: every
    name stands in `inputs` of `model.json`, and not every input needs a name here. UsageError for what is no table
    of numbers.
    """
    profile = build_profile(names=names, features=features, scores=scores)
    path = Path(directory) / PROFILE
    draft = path.with_name(f".{PROFILE}-{os.getpid()}")
    draft.write_bytes(encode_profile(profile))
    draft.replace(path)
    return path


def build_profile(*, names: Sequence[str], features: ArrayLike, scores: ArrayLike | None = None) -> Profile:
    """The profile that `write_profile` writes."""
    table = _read_numbers("features", features, 2)
    if table.shape[1] != len(names):
        raise UsageError(f"features have {table.shape[1]} columns, and there are {len(names)} names")
    score = None if scores is None else _read_numbers("scores", scores, 1)
    if score is not None and len(score) != len(table):
        raise UsageError(f"there are {len(table)} rows of features, and {len(score)} scores")
    columns = [_count(values) for values in table.T]
    profile = Profile(
        features=tuple(
            FeatureColumn(name=str(name), edges=each.edges, counts=each.counts, missing=each.missing)
            for name, each in zip(names, columns, strict=True)
        ),
        score=None if score is None else _count(score),
    )
    try:
        check_profile(profile, "the profile")
    except ServeError as error:
        raise UsageError(error.message) from error
    return profile


def _read_numbers(what: str, given: ArrayLike, axes: int) -> NDArray[np.float32]:
    """As 32-bit floats, since most models take these; what is served is counted as such, too."""
    try:
        with np.errstate(over="ignore"):
            numbers = np.asarray(given).astype(np.float32)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what} are no numbers: {error}") from error
    if numbers.ndim != axes or not numbers.size:
        shape = "(rows, names)" if axes == 2 else "(rows,)"
        raise UsageError(f"{what} have the shape {numbers.shape}; {shape} is meant, with one row at least")
    return numbers


def _count(values: NDArray[np.float32]) -> Column:
    known = values[~np.isnan(values)].astype(np.float64)
    if not known.size:
        return Column(edges=(), counts=(0,), missing=values.size)
    edges = find_edges(known)
    edges = edges[np.isfinite(edges)]  # beside infinite values; the outer bins are open
    counts = count_numbers(known, edges)
    return Column(edges=tuple(edges.tolist()), counts=tuple(counts.tolist()), missing=values.size - known.size)
