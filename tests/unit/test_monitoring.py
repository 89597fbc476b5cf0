"""What `seatrial monitor render` writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from seatrial.cli import cli
from seatrial.commands.monitor import render_monitoring, write_monitoring
from seatrial.core.monitoring import Duration, Limits, parse_duration, raise_alerts, select
from seatrial.core.monitoring_trials import try_alerts
from seatrial.errors import UsageError

FILES = {
    "seatrial.rules.yml",
    "seatrial.rules.test.yml",
    "seatrial.dashboard.json",
    "alertmanager.example.yml",
    "otel-collector.example.yml",
    "argo-analysis.example.yml",
}


def keep_what_is_known(given: object, typed: object) -> object:
    """Of what the types made of a document, the part that the document names."""
    if isinstance(given, dict) and isinstance(typed, dict):
        return {key: keep_what_is_known(value, typed[key]) for key, value in given.items() if key in typed}
    if isinstance(given, list) and isinstance(typed, list):
        return [keep_what_is_known(*pair) for pair in zip(given, typed, strict=True)]
    return typed


def test_all_files_are_written_once(tmp_path: Path) -> None:
    """The second run finds nothing to write, and nothing lies beside the files."""
    assert set(write_monitoring(tmp_path / "deep/er", Limits())) == FILES
    assert write_monitoring(tmp_path / "deep/er", Limits()) == ()
    assert {path.name for path in (tmp_path / "deep/er").iterdir()} == FILES


def test_other_text_is_overwritten_only_by_force(tmp_path: Path) -> None:
    """A file that was edited stays, and none of the others is written, until --force."""
    rules = tmp_path / "seatrial.rules.yml"
    rules.write_text("groups: []\n")
    with pytest.raises(UsageError, match=r"holds other text: seatrial\.rules\.yml"):
        write_monitoring(tmp_path, Limits())
    assert [path.name for path in tmp_path.iterdir()] == ["seatrial.rules.yml"]
    assert set(write_monitoring(tmp_path, Limits(), force=True)) == FILES
    assert "ModelErrors" in rules.read_text()


def test_link_is_never_written_through(tmp_path: Path) -> None:
    """What a link leads to is somebody else's, --force or not."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/seatrial.rules.yml").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="symbolic link"):
        write_monitoring(tmp_path / "out", Limits(), force=True)
    assert elsewhere.read_text() == "mine"
    assert len(list((tmp_path / "out").iterdir())) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--window", "5 minutes"), "'5 minutes' is no duration"),
        (("--window", "0s"), "--window 0s holds no sample"),
        (("--prediction-window", "1m"), "--prediction-window 1m is shorter than --window 5m"),
        (("--models", 'a"} or up'), "can't be a model"),
        (("--models", "a", "--models", "a"), "names a model twice"),
    ],
)
def test_limits_that_cannot_work_are_refused(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    """One usage error that names the option, and nothing is written."""
    done = CliRunner().invoke(cli, ["monitor", "render", str(tmp_path / "out"), *options])
    assert isinstance(done.exception, UsageError)
    assert told in done.exception.message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--errors", value) for value in ("0", "1", "-0.1", "nan", "much")),
        ("--worse-errors", "1"),
        ("--p95", "10"),
        ("--p95", "inf"),
        ("--slower", "1"),
        ("--slower", "nan"),
        ("--shift", "0.95"),
        ("--drift", "0"),
        ("--drift", "nan"),
        ("--min-requests", "0"),
    ],
)
def test_thresholds_are_where_an_alert_can_come_and_go(tmp_path: Path, option: str, value: str) -> None:
    """An alert that would always or never be raised, such as above the histogram's end, is a usage error."""
    done = CliRunner().invoke(cli, ["monitor", "render", str(tmp_path / "out"), option, value])
    assert done.exit_code == 2 or isinstance(done.exception, UsageError)
    assert not (tmp_path / "out").exists()


def test_options_reach_the_rules(tmp_path: Path) -> None:
    """Every number of the command line is in a rule."""
    numbers = {"--errors": "0.07", "--worse-errors": "0.03", "--p95": "0.9", "--slower": "1.75", "--shift": "0.22"}
    numbers |= {"--drift": "0.33"}
    times = {"--window": "7m", "--prediction-window": "9h", "--for": "11m", "--digests-for": "13m"}
    options = [part for pair in (numbers | times | {"--min-requests": "17"}).items() for part in pair]
    done = CliRunner().invoke(cli, ["monitor", "render", str(tmp_path), *options, "--models", "a.b", "--models", "c"])
    assert done.exit_code == 0, done.output
    rules = (tmp_path / "seatrial.rules.yml").read_text()
    assert all(f"> {number}" in rules for number in numbers.values())
    assert all(text in rules for text in ("[7m]", "[9h]", "for: 11m", "for: 13m", ">= 17", 'model=~"a[.]b|c"'))


def test_every_alert_has_trials_that_raise_it_and_that_do_not() -> None:
    """An alert that never comes, or always, would fail its own tests."""
    for limits in (Limits(), Limits(models=("a", "b"))):
        trials = try_alerts(limits)
        for alert in raise_alerts(limits):
            raised = [bool(each.raised) for each in trials if each.alert == alert.name]
            assert set(raised) == {True, False}, alert.name
        assert len({(each.alert, each.name) for each in trials}) == len(trials)


def test_dashboard_is_one_by_grafanas_own_types() -> None:
    """Nothing of it is lost or changed on the way through the types of Grafana's SDK."""
    given = json.loads(render_monitoring(Limits())["seatrial.dashboard.json"])
    typed = json.loads(json.dumps(Dashboard.from_json(given), cls=JSONEncoder))
    assert keep_what_is_known(given, typed) == given
    panels = given["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)


def test_counts_reach_new_relic_as_deltas() -> None:
    """The pipeline's parts are all defined, and the conversion stands before the exporter."""
    collector = yaml.safe_load(render_monitoring(Limits())["otel-collector.example.yml"])
    pipeline = collector["service"]["pipelines"]["metrics"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(collector[kind])
    assert "cumulativetodelta" in pipeline["processors"]
    assert collector["exporters"]["otlphttp"]["headers"]["api-key"] == "${env:NEW_RELIC_LICENSE_KEY}"


def test_rollout_passes_on_numbers_only() -> None:
    """An empty answer satisfies neither condition, so that the analysis is inconclusive and not passed."""
    template = yaml.safe_load(render_monitoring(Limits())["argo-analysis.example.yml"])
    for metric in template["spec"]["metrics"]:
        assert metric["successCondition"].startswith("len(result) > 0 && ")
        assert metric["failureCondition"].startswith("len(result) > 0 && ")
        assert " and " in metric["provider"]["prometheus"]["query"]


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), ("0s", 0)])
def test_durations_are_read_as_prometheus_reads_them(text: str, seconds: int) -> None:
    """A number and its unit."""
    assert parse_duration(text) == Duration(text=text, seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "1.5h", "5m\n", "1h30m", "٣m", "9999999s"])
def test_other_durations_are_refused(text: str) -> None:
    """What Prometheus would read otherwise, or not at all, is a usage error."""
    with pytest.raises(UsageError, match="is no duration"):
        parse_duration(text)


def test_selectors_match_names_as_they_are() -> None:
    """A dot in a name is no wildcard."""
    assert select("m", ()) == "m"
    assert select("m", ("a.b",), 'role="x"') == 'm{model="a.b",role="x"}'
    assert select("m", ("a.b", "c")) == 'm{model=~"a[.]b|c"}'
