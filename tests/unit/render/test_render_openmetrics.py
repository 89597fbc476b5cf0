"""A report's numbers in OpenMetrics, read by Prometheus's own parser."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from seatrial.core.facts import ChangeFacts
from seatrial.core.report import Report
from seatrial.render import RENDERERS, RenderOptions
from seatrial.render.characters import readable
from tests.golden.cases import CASES, HOSTILE_NAMES, change
from tests.unit.core.snapshots import snapshot
from tests.unit.render.test_render_states import SIDES, SOUND, report_on


def read(report: Report) -> dict[str, list[Sample]]:
    """The samples by their names, as Prometheus reads them."""
    text = RENDERERS["openmetrics"](report, RenderOptions())
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    samples: dict[str, list[Sample]] = {}
    for family in families:
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    return samples


def of(*metrics: ChangeFacts) -> Report:
    return replace(CASES["failed"], facts=replace(CASES["failed"].facts, metrics=metrics, evaluations=()))


def value(samples: list[Sample], key: str) -> float:
    (found,) = [sample.value for sample in samples if sample.labels["key"] == key]
    return found


def test_numbers_of_both_sides_are_told() -> None:
    """Base, head, change, its share, and its interval."""
    samples = read(CASES["failed"])
    told = {name: value(samples[f"seatrial_metric_{name}"], "recall") for name in ("base", "head", "delta")}
    assert told == {"base": 0.842, "head": 0.811, "delta": -0.031}
    assert value(samples["seatrial_metric_delta_low"], "recall") == -0.049
    (low,) = [one for one in samples["seatrial_metric_delta_low"] if one.labels["key"] == "accuracy"]
    assert (low.value, low.labels["level"], low.labels["file"]) == (-0.013, "0.95", "metrics/evaluation.json")
    assert value(samples["seatrial_metric_relative_change_ratio"], "ece") == 0.619047619048


def test_the_verdict_is_one_of_all() -> None:
    """A state set: exactly one is 1."""
    for case in CASES.values():
        states = {one.labels["seatrial_verdict"]: one.value for one in read(case)["seatrial_verdict"]}
        assert sum(states.values()) == 1
        assert states[case.facts.verdict] == 1


def test_gates_are_told_with_their_outcomes() -> None:
    """Which metric, which demand, what became of it."""
    gates = {one.labels["key"]: one.labels for one in read(CASES["failed"])["seatrial_gate_info"]}
    assert (gates["recall"]["outcome"], gates["recall"]["limit"]) == ("failed", "Δ ≥ −0.01")


def test_every_state_of_trouble_is_told() -> None:
    """What can't be compared has no number, and is not absent in silence."""
    for state, side in SIDES.values():
        (info,) = read(report_on(snapshot(SOUND), side))["seatrial_metric_state_info"]
        assert info.labels["state"] == state.value or state.value == "not-comparable"


def test_evidence_is_told_with_its_slices() -> None:
    """Each under the evaluation's name."""
    samples = read(CASES["slices-worse"])["seatrial_metric_delta"]
    parts = {one.labels.get("slice") for one in samples if one.labels.get("evaluation") == "delays"}
    assert {None, "carrier=F9"} <= parts


def test_equal_values_are_equal_texts() -> None:
    """GitLab compares texts: 0.90 is 0.9, and 0.1 + 0.2 is 0.3."""

    def line(number: Any) -> str:
        text = RENDERERS["openmetrics"](of(replace(change("a", 1, 2, "better"), head=number)), RenderOptions())
        (found,) = [line for line in text.splitlines() if line.startswith("seatrial_metric_head{")]
        return found

    assert line(0.1 + 0.2) == line(0.3)
    assert line(1) == line(1.0)
    assert line(12_345_678_901_234) == line(12_345_678_901_234.0)
    assert line(0.3) != line(0.3001)


def test_what_is_not_finite_is_spelled_as_the_standard_has_it() -> None:
    """And what is no number has no sample."""
    shown = [replace(change(f"k{at}", 1, 2, "better"), head=head) for at, head in enumerate(("NaN", "Infinity", "x"))]
    head = read(of(*shown))["seatrial_metric_head"]
    assert math.isnan(value(head, "k0"))
    assert value(head, "k1") == math.inf
    assert len(head) == 2


NAMES = st.one_of(st.text(max_size=30), st.sampled_from([*HOSTILE_NAMES, 'a"b\\', "{}", "# EOF", "\n# EOF\n"]))


@settings(max_examples=200, deadline=None)
@example(names=["x"], value=-(10**400), verdict="y")
@given(names=st.lists(NAMES, max_size=6), value=st.floats() | st.integers(), verdict=NAMES)
def test_every_name_is_read_back(names: list[str], value: float, verdict: str) -> None:
    """Whatever it holds; names that look alike stay two series."""
    spelled = str(value) if isinstance(value, float) and not math.isfinite(value) else value
    spelled = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(str(spelled), spelled)
    shown = [replace(change("x", 1, 2, "better"), file=name, key=(name, verdict), head=spelled) for name in names]
    samples = read(of(*shown)).get("seatrial_metric_head", [])
    assert [one.labels["file"] for one in samples] == [readable(name) for name in names]
