"""A dashboard of served models as the JSON that Grafana imports."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from seatrial.core.monitoring import Limits, name_series

DASHBOARD = "seatrial.dashboard.json"
_FILTER = '{model=~"$model"}'
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3


class _Panel(Struct, frozen=True, kw_only=True):
    """A chart; `lines` are expressions with their legends, `limit` is drawn as a line."""

    title: str
    about: str
    lines: tuple[tuple[str, str], ...]
    unit: str = "short"
    limit: float | None = None
    kind: str = "timeseries"


def render_dashboard(limits: Limits) -> str:
    """The dashboard; its variables are the data source and the models."""
    drawn = (*_draw_requests(limits), *_draw_predictions(limits), *_draw_the_rest(limits))
    dashboard = {
        "uid": "seatrial-models",
        "title": "Served models",
        "description": "Written by `seatrial monitor render`.",
        "tags": ["seatrial"],
        "schemaVersion": 39,
        "editable": True,
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {"list": _list_variables()},
        "panels": [_state_panel(each, place) for place, each in enumerate(drawn)],
    }
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def _draw_requests(limits: Limits) -> tuple[_Panel, ...]:
    names, who = name_series(limits), "{{model}} {{role}}"
    return (
        _Panel(
            title="Live versions",
            about="What the servers have loaded: more than one digest of a model is a canary, a shadow, or a fault.",
            lines=((f"count by (model, version, digest, commit) (model_info{_FILTER})", ""),),
            kind="table",
        ),
        _Panel(title="Requests", about="Per second.", lines=((f"{names.requests}{_FILTER}", who),), unit="reqps"),
        _Panel(
            title="Errors",
            about="The share that is answered with 5xx.",
            lines=((f"{names.errors}{_FILTER}", who),),
            unit="percentunit",
            limit=limits.errors,
        ),
        _Panel(
            title="Errors and refusals",
            about="The share that is not answered with 2xx.",
            lines=((f"{names.failures}{_FILTER}", who),),
            unit="percentunit",
        ),
        _Panel(
            title="95th percentile of time",
            about="From a read request to its answer.",
            lines=((f"{names.p95}{_FILTER}", who),),
            unit="s",
            limit=limits.p95,
        ),
    )


def _draw_predictions(limits: Limits) -> tuple[_Panel, ...]:
    names, window = name_series(limits), limits.prediction_window.text

    def rate(part: str, by: str = "model, role") -> str:
        return f"sum by ({by}) (rate(model_prediction_{part}{_FILTER}[{window}]))"

    mean = f"{rate('sum')} / ({rate('count')} > 0)"
    median = f"histogram_quantile(0.5, {rate('bucket', 'model, role, le')})"
    return (
        _Panel(
            title="Shift of predictions",
            about="How far the distribution is from the stable version's, and from where on it is no chance.",
            lines=(
                (f"{names.shift}{_FILTER}", "{{model}} {{role}}"),
                (f"{names.noise}{_FILTER} + {limits.shift:.12g}", "{{model}} {{role}}: limit"),
            ),
        ),
        _Panel(
            title="Predictions",
            about="Their mean and median.",
            lines=((mean, "{{model}} {{role}} mean"), (median, "{{model}} {{role}} median")),
        ),
        _draw_drift(limits, "inputs", "model_input_drift", ("model", "version", "feature")),
        _draw_drift(limits, "predictions", "model_prediction_drift", ("model", "version")),
    )


def _draw_drift(limits: Limits, what: str, metric: str, labels: tuple[str, ...]) -> _Panel:
    chance = f"max by (model, version) (model_input_drift_noise{_FILTER}) + {limits.drift:.12g}"
    return _Panel(
        title=f"Drift of {what}",
        about="PSI against the profile of what the version was judged on, and from where on it is no chance.",
        lines=(
            (f"max by ({', '.join(labels)}) ({metric}{_FILTER})", " ".join(f"{{{{{label}}}}}" for label in labels)),
            (chance, "{{model}} {{version}}: limit"),
        ),
    )


def _draw_the_rest(limits: Limits) -> tuple[_Panel, ...]:
    window = limits.window.text

    def rate(metric: str) -> str:
        return f"sum by (model) (rate({metric}{_FILTER}[{window}]))"

    compared, otherwise = rate("model_shadow_compared_total"), rate("model_shadow_mismatch_total")
    logged = rate("model_log_rows_total")
    return (
        _Panel(
            title="Shadow",
            about="The share of requests for which it would have decided otherwise, and what it had no time for.",
            lines=(
                (
                    f"({otherwise} or {compared} * 0) / ({compared} > 0)",
                    "{{model}} otherwise",
                ),
                (f"{rate('model_shadow_dropped_total')} or {compared} * 0", "{{model}} dropped per second"),
            ),
        ),
        _Panel(
            title="Log of predictions",
            about="Rows per second.",
            lines=(
                (logged, "{{model}} logged"),
                (f"{rate('model_log_dropped_total')} or {logged} * 0", "{{model}} dropped"),
            ),
        ),
        _Panel(
            title="Deployments",
            about="By their outcome, as the log of the directory has them.",
            lines=(("max by (env, outcome) (model_deploy_total)", "{{env}} {{outcome}}"),),
        ),
        _Panel(
            title="Memory",
            about="Of the servers' processes.",
            lines=(('process_resident_memory_bytes and on (instance) model_info{model=~"$model"}', "{{instance}}"),),
            unit="bytes",
        ),
    )


def _list_variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    models = {
        "name": "model",
        "label": "Model",
        "type": "query",
        "datasource": _SOURCE,
        "query": "label_values(model_info, model)",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
    return [source, models]


def _state_panel(panel: _Panel, place: int) -> dict[str, Any]:
    table = panel.kind == "table"
    return {
        "id": place + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": {
            "x": place % _COLUMNS * _WIDTH,
            "y": place // _COLUMNS * _HEIGHT,
            "w": _WIDTH,
            "h": _HEIGHT,
        },
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": expr,
                "legendFormat": legend,
                **({"instant": True, "format": "table"} if table else {}),
            }
            for number, (expr, legend) in enumerate(panel.lines)
        ],
        "fieldConfig": {"defaults": _state_defaults(panel), "overrides": []},
    }


def _state_defaults(panel: _Panel) -> dict[str, Any]:
    if panel.limit is None:
        return {"unit": panel.unit}
    steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.limit}]
    return {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": {"thresholdsStyle": {"mode": "dashed"}},
    }
