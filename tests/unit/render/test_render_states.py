"""Every state of trouble tells its reason, and what mends it, in every format."""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree as ET

import pytest

from seatrial.core.comparison import compare
from seatrial.core.metrics import MetricSet, Problem, Snapshot, State
from seatrial.core.policy import Policy, evaluate
from seatrial.core.report import Report, build_report
from seatrial.core.wording import Telling
from seatrial.render import RENDERERS, RenderOptions
from tests.unit.core.snapshots import file, range_of, snapshot

SOUND = file("m.json", {"recall": 1})
TELLING = ("terminal", "markdown", "json", "html", "junit")


def lost(state: State) -> Snapshot:
    """A side whose file is in that state."""
    problem = Problem(state=state, path="m.json", message=f"the reason of {state.value}", hint="the remedy")
    return snapshot(MetricSet(path="m.json", values={}, problem=problem))


def behind(path: str) -> Snapshot:
    """A side of which a project file is broken."""
    problem = Problem(state=State.UNREADABLE, path=path, message="the reason of not-comparable", hint="the remedy")
    return snapshot(problems=(problem,))


NULL, NAN, TEXT = (snapshot(file("m.json", {"recall": value})) for value in (None, float("nan"), "high"))
SIDES = {
    "missing": (State.MISSING, lost(State.MISSING)),
    "null": (State.MISSING, NULL),
    "unreadable": (State.UNREADABLE, lost(State.UNREADABLE)),
    "missing-cache": (State.MISSING_CACHE, lost(State.MISSING_CACHE)),
    "not-finite": (State.NOT_FINITE, NAN),
    "type-changed": (State.TYPE_CHANGED, TEXT),
    "not-comparable": (State.NOT_COMPARABLE, behind("dvc.yaml")),
}


def report_on(base: Snapshot, head: Snapshot) -> Report:
    comparison = compare(range_of(), base, head)
    policy = Policy()
    return build_report(comparison, evaluate(policy, comparison), policy, Telling())


def plain(text: str) -> str:
    """Words without markup, tables' lines and escapes."""
    return re.sub(r"[\W_]+", " ", re.sub(r"<[^>]+>", " ", html.unescape(text)))


def test_every_state_of_trouble_is_here() -> None:
    """A state that is added later has to be told, too."""
    quiet = {State.UNCHANGED, State.CHANGED, State.ADDED, State.REMOVED}
    assert {state for state, _ in SIDES.values()} == set(State) - quiet


@pytest.mark.parametrize("form", TELLING)
@pytest.mark.parametrize("of_base", [True, False], ids=["baseline", "candidate"])
@pytest.mark.parametrize("name", SIDES)
def test_a_state_tells_reason_and_remedy(name: str, of_base: bool, form: str) -> None:
    """Whoever reads any one format knows what is wrong and what to do."""
    state, side = SIDES[name]
    sound = snapshot(SOUND)
    report = report_on(side, sound) if of_base else report_on(sound, side)
    (change,) = report.facts.metrics
    assert change.state == state.value or (name == "not-comparable" and not of_base and change.state == "unreadable")
    assert change.reason
    assert change.hint
    text = RENDERERS[form](report, RenderOptions())
    if form == "junit":
        text = " ".join(
            part for case in ET.fromstring(text).iter() for part in (*case.attrib.values(), case.text or "")
        )
    told = plain(text)
    assert plain(change.reason) in told
    assert plain(change.hint) in told


@pytest.mark.parametrize("form", TELLING[:4])
def test_a_move_is_told(form: str) -> None:
    """Whether or not the value changed, the report names the file that it was in."""
    head = snapshot(file("new.json", {"recall": 1}))
    assert "moved from m json" in plain(RENDERERS[form](report_on(snapshot(SOUND), head), RenderOptions()))
