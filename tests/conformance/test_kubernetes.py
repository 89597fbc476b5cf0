"""The target `kubernetes` under the conformance suite, against a stand-in that judges objects by the API's schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from seatrial.core.deployment import Outcome
from seatrial.deploy import open_target
from seatrial.deploy.cluster import VERSION
from seatrial.deploy.conformance import NumberProver, TargetConformance, TargetSurvival, plan_number
from seatrial.deploy.engine import Deployment, apply, plan_rollback
from seatrial.errors import UsageError
from tests.conformance.clusters import EXAMPLES, open_knative, open_kserve, open_plain
from tests.fakes import kubernetes as fake

OPENER = "tests.conformance.clusters:open_plain"


class TestKubernetes(TargetConformance):
    """What it does."""

    opener = OPENER


@pytest.mark.slow
class TestKubernetesSurvives(TargetSurvival):
    """What it survives: kill -9 at every seventh boundary; the rest is as for KServe."""

    opener = OPENER
    step = 7
    # The lock and the recovery are those of KServe's target, where these two are asked.
    test_killed_recovery_is_picked_up = None  # type: ignore[assignment]
    test_racing_deployers_leave_one_winner = None  # type: ignore[assignment]


def deploy(place: Path, number: str) -> Deployment:
    """Deploy a model that answers with a number."""
    target = open_plain(str(place / "root"), "conformance")
    return apply(plan_number(target, place / "source", number), target=target, prover=NumberProver())


def find(cluster: fake.Cluster, plural: str) -> dict[str, Any]:
    """The objects of a kind by their names."""
    return {name: each for (kind, _, name), each in cluster.objects.items() if kind == plural}


def test_service_selects_one_version_of_two(tmp_path: Path, cluster: fake.Cluster) -> None:
    """The version before stays up for the way back, one that is older goes; containers are told what they serve."""
    for number in "123":
        assert deploy(tmp_path, number).outcome is Outcome.LIVE
    assert set(find(cluster, "deployments")) == {"conformance-v2", "conformance-v3"}
    assert find(cluster, "services")["conformance"]["spec"]["selector"][VERSION] == "3"
    container = find(cluster, "deployments")["conformance-v3"]["spec"]["template"]["spec"]["containers"][0]
    told = {each["name"]: each["value"] for each in container["env"]}
    assert (told["SEATRIAL_VERSION"], told["SEATRIAL_PLACE"]) == ("3", str(tmp_path / "root"))
    generation = find(cluster, "deployments")["conformance-v2"]["metadata"]["generation"]
    target = open_plain(str(tmp_path / "root"), "conformance")
    assert apply(plan_rollback(target, None), target=target, prover=NumberProver()).outcome is Outcome.LIVE
    assert find(cluster, "deployments")["conformance-v2"]["metadata"]["generation"] == generation


@pytest.mark.parametrize(("fate", "told"), [("crash", "CrashLoopBackOff"), ("never", "0 of its pods are ready")])
def test_version_that_never_gets_ready_is_undone(tmp_path: Path, cluster: fake.Cluster, fate: str, told: str) -> None:
    """What its pods suffer from is told, exit code 1, and the Service was never touched."""
    deploy(tmp_path, "1")
    before = find(cluster, "services")["conformance"]["metadata"]["resourceVersion"]
    cluster.fates["2"] = fate
    failed = deploy(tmp_path, "2")
    assert (failed.outcome, failed.outcome.exit_code) == (Outcome.REFUSED, 1)
    assert told in failed.reason
    assert set(find(cluster, "deployments")) == {"conformance-v1"}
    assert find(cluster, "services")["conformance"]["metadata"]["resourceVersion"] == before


def test_selector_that_somebody_moved_is_seen_and_mended(tmp_path: Path, cluster: fake.Cluster) -> None:
    """A Service that selects another version than it says is a problem; its model deployed again is live."""
    deploy(tmp_path, "1")
    key = next(key for key in cluster.objects if key[0] == "services")
    theirs = {"metadata": {"name": "conformance"}, "spec": {"selector": {VERSION: "7"}}}
    cluster.answer("patch", key, {"fieldManager": "kubectl", "force": "true"}, theirs)
    live = open_plain(str(tmp_path / "root"), "conformance").observe().live
    assert live is not None
    assert "says version 1, selects 7" in live.problem
    assert deploy(tmp_path, "1").outcome is Outcome.LIVE
    assert find(cluster, "services")["conformance"]["spec"]["selector"][VERSION] == "1"


def test_settings_are_checked(tmp_path: Path) -> None:
    """What is missing, misspelt or not both objects is a usage error that names the file."""
    (tmp_path / "model.yaml").write_text("kind: Deployment\nspec: {template: {spec: {containers: []}}}\n")
    for text in (None, "template: model.yaml\n", "templte: a\n", "template: none.yaml\n"):
        if text is not None:
            (tmp_path / "kubernetes.yaml").write_text(text)
        with pytest.raises(UsageError, match=r"kubernetes\.yaml|model\.yaml|none\.yaml"):
            assert open_target("kubernetes", str(tmp_path), "m").switch.templates  # type: ignore[attr-defined]


def test_role_of_the_examples_allows_what_is_done_and_no_more(tmp_path: Path, cluster: fake.Cluster) -> None:
    """Every call of a deployment, of its undoing and of its end is allowed, and every right is used."""
    for opener in (open_kserve, open_knative, open_plain):
        place = tmp_path / opener.__name__
        for number, fate in (("1", ""), ("2", ""), ("3", "crash")):
            cluster.fates["3"] = fate
            target = opener(str(place / "root"), "conformance")
            apply(plan_number(target, place / "source", number), target=target, prover=NumberProver())
        target.withdraw()
    role = yaml.safe_load((EXAMPLES / "role.yaml").read_text(encoding="utf-8"))
    kubernetes_validate.validate(role, "1.37", strict=True)
    allowed = {
        (verb, "ksvc" if "knative" in rule["apiGroups"][0] else plural)
        for rule in role["rules"]
        for plural in rule["resources"]
        for verb in rule["verbs"]
    }
    assert cluster.asked == allowed
