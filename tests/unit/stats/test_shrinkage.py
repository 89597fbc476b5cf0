"""Shrunken effects: a published meta-analysis, laws, and what they are for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.stats.shrinkage import shrink

# Thirteen trials of BCG vaccination (Colditz 1994; `dat.bcg` of R's metafor): cases and others, treated and control.
BCG = [
    (4, 119, 11, 128),
    (6, 300, 29, 274),
    (3, 228, 11, 209),
    (62, 13536, 248, 12619),
    (33, 5036, 47, 5761),
    (180, 1361, 372, 1079),
    (8, 2537, 10, 619),
    (505, 87886, 499, 87892),
    (29, 7470, 45, 7232),
    (17, 1699, 65, 1600),
    (186, 50448, 141, 27197),
    (5, 2493, 3, 2338),
    (27, 16886, 29, 17825),
]
slices = st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 1)), min_size=1, max_size=12)


def test_published_meta_analysis() -> None:
    """The log relative risks of the BCG trials: τ² 0.3088 and mean −0.7141, as metafor's DerSimonian–Laird has it."""
    risk = [math.log(a / (a + b) / (c / (c + d))) for a, b, c, d in BCG]
    se = [math.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)) for a, b, c, d in BCG]
    found = shrink(risk, se, centre=None)
    assert found.between == pytest.approx(0.3088, abs=5e-5)
    assert found.centre == pytest.approx(-0.7141, abs=5e-5)
    weight = found.between / (found.between + np.square(se))
    np.testing.assert_allclose(found.effect, found.centre + (np.array(risk) - found.centre) * weight)


@settings(deadline=None, derandomize=True)
@given(slices, st.none() | st.just(0.0))
def test_effects_move_towards_the_centre(pairs: list[tuple[float, float]], centre: float | None) -> None:
    """No effect moves past the centre or away from it, and of equal effects the less certain moves further."""
    delta, se = (np.array(side) for side in zip(*pairs, strict=True))
    found = shrink(delta, se, centre=centre)
    kept, given_off = found.effect - found.centre, delta - found.centre
    assert (kept * given_off >= -1e-12).all()
    assert (np.abs(kept) <= np.abs(given_off) + 1e-12).all()
    moved = shrink(np.append(delta, [0.5, 0.5]), np.append(se, [0.1, 0.4]), centre=0.0).effect
    assert moved[-1] <= moved[-2]


def test_noise_alone_shrinks_to_nothing() -> None:
    """Effects no larger than their errors have τ² = 0, and all become the centre."""
    found = shrink([0.01, -0.01, 0.005], [0.05, 0.05, 0.05])
    assert (found.between, found.effect.tolist()) == (0.0, [0.0, 0.0, 0.0])


def test_a_tiny_slice_does_not_top_the_list() -> None:
    """Of a large effect on few rows and a smaller one on many, the certain one is the worse after shrinkage."""
    found = shrink([-0.12, -0.05, 0.01, 0.02, -0.01], [0.11, 0.008, 0.01, 0.01, 0.01])
    assert int(np.argmin(found.effect)) == 1


def test_shrinking_is_closer_to_the_truth() -> None:
    """Over simulated slices the squared error of the shrunken effects is well below that of the raw ones."""
    rng = np.random.default_rng(1)
    truth, se = rng.normal(0, 0.02, 500), rng.uniform(0.005, 0.08, 500)
    raw = truth + rng.normal(size=500) * se
    found = shrink(raw, se)
    assert np.mean((found.effect - truth) ** 2) < 0.25 * np.mean((raw - truth) ** 2)
    assert math.sqrt(found.between) == pytest.approx(0.02, rel=0.25)


def test_a_certain_effect_stays() -> None:
    """With an SE of 0 (identical answers) the effect is kept and says nothing of the others."""
    found = shrink([0.0, 0.3, 0.1], [0.0, 0.0, 0.2])
    assert found.effect.tolist() == [0.0, 0.3, 0.0]
    assert shrink([], []).effect.size == 0
    assert shrink([0.2], [0.0], centre=None).effect.tolist() == [0.2]


@pytest.mark.parametrize(("delta", "se"), [([0.1], [float("nan")]), ([0.1], [-1.0]), ([0.1, 0.2], [0.1])])
def test_bad_arrays_are_refused(delta: list[float], se: list[float]) -> None:
    """NaN, negative errors and unequal lengths are errors."""
    with pytest.raises(ValueError, match="not finite numbers"):
        shrink(delta, se)
