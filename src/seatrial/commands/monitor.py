"""`seatrial monitor render`: rules, their tests, a dashboard and settings to start from, as files."""

from __future__ import annotations

import math
from pathlib import Path

from seatrial.commands.writing import FileChange, write_changes
from seatrial.core.monitoring import Limits
from seatrial.core.release import check_name
from seatrial.errors import ReleaseError, UsageError
from seatrial.render.grafana import DASHBOARD, render_dashboard
from seatrial.render.monitoring_examples import (
    ALERTMANAGER,
    ARGO,
    COLLECTOR,
    render_alertmanager,
    render_argo,
    render_collector,
)
from seatrial.render.prometheus import RULES, TESTS, render_rule_tests, render_rules


def render_monitoring(limits: Limits) -> dict[str, str]:
    """All files by their names."""
    return {
        RULES: render_rules(limits),
        TESTS: render_rule_tests(limits),
        DASHBOARD: render_dashboard(limits),
        ALERTMANAGER: render_alertmanager(),
        COLLECTOR: render_collector(),
        ARGO: render_argo(limits),
    }


def write_monitoring(directory: Path, limits: Limits, *, force: bool = False) -> tuple[str, ...]:
    """Write the files, all or none, and name those that changed. UsageError where one differs, unless forced."""
    check_limits(limits)
    drafted = [
        FileChange(path=name, before=_read(directory / name), after=text)
        for name, text in render_monitoring(limits).items()
    ]
    changed = [each for each in drafted if each.before != each.after]
    lost = [each.path for each in changed if each.before is not None]
    if lost and not force:
        raise UsageError(
            f"{directory} holds other text: {', '.join(lost)}", hint="--force overwrites it; or name another directory"
        )
    write_changes(directory, changed)
    return tuple(each.path for each in changed)


def check_limits(limits: Limits) -> None:
    """UsageError for limits under which an alert could never be judged."""
    numbers = (limits.errors, limits.worse_errors, limits.p95, limits.slower, limits.shift, limits.drift)
    if not all(map(math.isfinite, numbers)):
        raise UsageError("a threshold is no number", hint="seatrial monitor render --help tells their ranges")
    for name in limits.models:
        _check_model(name)
    if len(set(limits.models)) < len(limits.models):
        raise UsageError("--models names a model twice", hint="name each once")
    if limits.window.seconds < 1:
        raise UsageError(
            f"--window {limits.window.text} holds no sample", hint="four times the scrape interval or more"
        )
    if limits.prediction_window.seconds < limits.window.seconds:
        raise UsageError(
            f"--prediction-window {limits.prediction_window.text} is shorter than --window {limits.window.text}",
            hint="distributions need more requests than rates do",
        )


def _check_model(name: str) -> None:
    try:
        check_name(name)
    except ReleaseError:
        raise UsageError(f"--models {name!r} can't be a model", hint="seatrial status --to ROOT lists them") from None


def _read(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else None
