"""Rules and their tests as the YAML that Prometheus and promtool read."""

from __future__ import annotations

from typing import Any

import yaml

from seatrial.core.monitoring import Alert, Limits, raise_alerts, record_series
from seatrial.core.monitoring_trials import Trial, step_seconds, try_alerts

RULES = "seatrial.rules.yml"
TESTS = "seatrial.rules.test.yml"
_ORIGIN = "# Written by `seatrial monitor render`, which has an option for each number.\n"


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stay so; nothing is an alias of something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def dump_yaml(document: object, comment: str = "") -> str:
    """A document as YAML, below the lines that say where it comes from and what it is."""
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    return f"{_ORIGIN}{lines}{yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)}"


def render_rules(limits: Limits) -> str:
    """The recording rules, and the alerts."""
    recorded = [{"record": each.name, "expr": each.expr} for each in record_series(limits)]
    alerts = [_state_alert(each) for each in raise_alerts(limits)]
    # One group is evaluated in order: an alert sees what was recorded at the same time.
    groups = [{"name": "seatrial", "rules": [*recorded, *alerts]}]
    return dump_yaml({"groups": groups}, f"promtool check rules {RULES}")


def _state_alert(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.hold.text,
        "labels": {"severity": alert.severity.value},
        "annotations": {"summary": alert.summary, "description": alert.description},
    }


def render_rule_tests(limits: Limits) -> str:
    """The trials of every alert, for promtool."""
    alerts = {each.name: each for each in raise_alerts(limits)}
    step = _spell(step_seconds(limits))
    document = {
        "rule_files": [RULES],
        "evaluation_interval": step,
        "tests": [_state_trial(each, alerts[each.alert], step) for each in try_alerts(limits)],
    }
    return dump_yaml(document, f"promtool test rules {TESTS}")


def _state_trial(trial: Trial, alert: Alert, step: str) -> dict[str, Any]:
    raised = [
        {
            "exp_labels": {"severity": alert.severity.value, **labels},
            "exp_annotations": {
                "summary": _fill(alert.summary, labels),
                "description": _fill(alert.description, labels),
            },
        }
        for labels in trial.raised
    ]
    test = {"eval_time": _spell(trial.seconds), "alertname": trial.alert, "exp_alerts": raised}
    return {
        "name": f"{trial.alert}: {trial.name}",
        "interval": step,
        "input_series": [{"series": name, "values": values} for name, values in trial.series.items()],
        "alert_rule_test": [test],
    }


def _fill(text: str, labels: Any) -> str:
    """The text with its labels, as Prometheus fills it."""
    for name, value in labels.items():
        text = text.replace(f"{{{{ $labels.{name} }}}}", value)
    return text


def _spell(seconds: float) -> str:
    """A duration in whole milliseconds, or seconds where they are enough."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
