"""`--engine ray` on a real cluster of two nodes: the same answers as on this machine."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from seatrial.commands.answers import SidedError
from seatrial.commands.engines import LocalParts
from seatrial.commands.rays import RayParts
from seatrial.commands.summing import SummedMatch
from seatrial.core.comparison import Side
from seatrial.errors import CompareError
from seatrial.sources.streams import Origin
from seatrial.stats.paired import Estimate
from tests.integration.repositories import Scratch, run_seatrial
from tests.integration.test_evidence import check_alike
from tests.unit.commands.test_summing import POLICIES, answers, build, flatten, write

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of two nodes of one processor each, with processes of their own, which report to nobody."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    # With one processor, a node lets a worker go as soon as the next one is needed, and each takes seconds to start.
    kept = {"idle_worker_killing_time_threshold_ms": 600_000, "num_workers_soft_limit": 4}
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": kept}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    yield nodes.address
    ray.shutdown()
    nodes.shutdown()


def scatter(table: pl.DataFrame, directory: Path, files: int, origin: Origin) -> Origin:
    """The same rows in a directory of many files, named as DVC's cache names them: without a suffix."""
    directory.mkdir()
    size = math.ceil(table.height / files)
    paths = tuple(directory / f"{number:032x}" for number in range(files))
    for number, path in enumerate(paths):
        table.slice(number * size, size).write_parquet(path)
    return Origin(source=paths, path="p/*.parquet", task=origin.task, columns=origin.columns, cuts=origin.cuts)


def check_equal(one: object, other: object, name: str) -> None:
    """Equal to rounding: both count ranks in the same bins."""
    if not isinstance(one, Estimate) or not isinstance(other, Estimate):
        assert one == other, name
        return
    for field in ("base", "head", "se", "low", "high", "p_lower", "p_higher", "head_low", "head_high", "df"):
        assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-9, abs=1e-12), (name, field)
    assert (one.n, one.support, one.method, one.caution) == (other.n, other.support, other.method, other.caution)


@pytest.mark.parametrize("name", ["binary", "regression"])
def test_the_same_answers_as_on_one_machine(name: str, tmp_path: Path, cluster: str) -> None:
    """Sums to 1e-9, for metrics, slices, gaps and flips; ranks are counted in the same bins."""
    import ray

    assert sum(node["Alive"] for node in ray.nodes()) == 2
    evaluation = build(POLICIES[name])
    tables = [answers(seed) for seed in (1, 2)]
    origins = [write(table, tmp_path / f"{i}.parquet", evaluation) for i, table in enumerate(tables)]
    scattered = [scatter(table, tmp_path / f"files{i}", 9, origins[i]) for i, table in enumerate(tables)]
    (tmp_path / "local").mkdir()
    engines = (RayParts.open(scattered[0], scattered[1]), LocalParts.open(origins[0], origins[1], tmp_path / "local"))
    clustered, local = (
        SummedMatch(engine=engine, evaluation=evaluation, measures=evaluation.measures, thresholds=(0.5, 0.45))
        for engine in engines
    )
    wanted = flatten(local, evaluation)
    found = flatten(clustered, evaluation)
    assert found.keys() == wanted.keys()
    for key, answer in wanted.items():
        check_equal(found[key], answer, key)
    assert clustered.find_flips() == local.find_flips()
    for gap in evaluation.gaps:
        assert clustered.compare_groups(gap).gap == local.compare_groups(gap).gap
    for fact in ("n_base", "n_head", "n_common", "labels_changed"):
        assert getattr(clustered.overlap, fact) == getattr(local.overlap, fact)


def test_a_bad_row_on_a_worker_names_its_side(tmp_path: Path, cluster: str) -> None:
    """The error comes to the driver as what it is."""
    evaluation = build(POLICIES["binary"])
    sound = answers(1)
    broken = answers(2).with_columns(p=pl.when((pl.col("id") == 7) & (pl.col("day") == 3)).then(1.5).otherwise("p"))
    origins = [write(table, tmp_path / f"{i}.parquet", evaluation) for i, table in enumerate((sound, broken))]
    engine = RayParts.open(origins[0], origins[1])
    match = SummedMatch(engine=engine, evaluation=evaluation, measures=evaluation.measures, thresholds=(0.5, 0.5))
    with pytest.raises(SidedError) as caught:
        match.estimate(evaluation.measures)
    assert caught.value.side is Side.HEAD
    assert "column 'p' is no probability" in caught.value.cause.message
    assert caught.value.cause.message.endswith("in at least 1 of 20,000 rows at day=3, id=7")


def test_the_first_measurement(tmp_path: Path, cluster: str) -> None:
    """Without a baseline, the candidate alone is measured."""
    evaluation = build(POLICIES["scores"])
    origin = write(answers(1), tmp_path / "p.parquet", evaluation)
    match = SummedMatch(
        engine=RayParts.open(None, origin),
        evaluation=evaluation,
        measures=evaluation.measures,
        thresholds=(0.5, 0.5),
    )
    assert not match.has_baseline
    assert match.overlap.n_head == 20_000


def test_through_the_command_line(tmp_path: Path, cluster: str) -> None:
    """RAY_ADDRESS names the cluster; the report is the one that this machine writes by itself."""
    scratch = Scratch.create(tmp_path / "project")
    policy = POLICIES["regression"].replace("metrics: [rmse,", "metrics: [")
    gates = "  gates: [{rmse: {no_worse_than: 5%}}]\n"
    scratch.write({"seatrial.yaml": f"version: 1\nevaluations:\n- name: e\n  predictions: p.parquet\n{policy}{gates}"})
    scratch.write({"metrics.json": '{"steps": 3}'})
    for seed in (1, 2):
        answers(seed).write_parquet(scratch.directory / "p.parquet")
        if seed == 1:
            scratch.commit({})
    command = ("compare", "--format", "json")
    local = run_seatrial(scratch.directory, *command)
    clustered = run_seatrial(scratch.directory, *command, "--engine", "ray", env={"RAY_ADDRESS": cluster})
    assert clustered.code == local.code == 0, clustered.err
    (one,), (other,) = clustered.facts["evaluations"], local.facts["evaluations"]
    check_alike({**one, "digest": ""}, {**other, "digest": ""})


def test_a_file_that_the_nodes_do_not_see(tmp_path: Path, cluster: str) -> None:
    """What goes wrong on a node is told in one line, with what to look at."""
    evaluation = build(POLICIES["scores"])
    origin = write(answers(1), tmp_path / "p.parquet", evaluation)
    engine = RayParts.open(None, origin)
    (tmp_path / "p.parquet").unlink()
    match = SummedMatch(engine=engine, evaluation=evaluation, measures=evaluation.measures, thresholds=(0.5, 0.5))
    with pytest.raises((CompareError, SidedError)) as caught:
        match.estimate(evaluation.measures)
    told = str(caught.value)
    assert "p.parquet" in told
    assert "\n" not in told
