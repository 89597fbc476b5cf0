"""The target `kserve` under the conformance suite, against a stand-in that judges every object by KServe's schema."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from seatrial.core.deployment import Answer, Outcome
from seatrial.core.routing import Route
from seatrial.deploy import open_target
from seatrial.deploy.cluster import DIGEST, PODS, VERSION, Access, Cluster, ClusterLock
from seatrial.deploy.conformance import NumberProver, TargetConformance, TargetSurvival, plan_number
from seatrial.deploy.conformance_routing import NumberTrial, expect_routing
from seatrial.deploy.engine import Deployment, apply, plan_rollback
from seatrial.deploy.trial import Phase
from seatrial.errors import BlockedError, ReleaseError, UsageError
from tests.conformance.clusters import open_knative, open_kserve
from tests.fakes import kubernetes as fake

OPENER = "tests.conformance.clusters:open_kserve"


class TestKServe(TargetConformance):
    """What it does, in Standard mode."""

    opener = OPENER


class TestKnative(TargetConformance):
    """What it does where revisions share the requests."""

    opener = "tests.conformance.clusters:open_knative"


@pytest.mark.slow
class TestKServeSurvives(TargetSurvival):
    """What it survives: kill -9 at every third boundary, and races; each one takes seconds of requests."""

    opener = OPENER
    step = 3
    races = 2


def deploy(place: Path, number: str, *, opener: Any = open_kserve) -> Deployment:
    """Deploy a model that answers with a number."""
    target = opener(str(place / "root"), "conformance")
    return apply(plan_number(target, place / "source", number), target=target, prover=NumberProver())


def find(cluster: fake.Cluster, plural: str) -> dict[str, Any]:
    """The objects of a kind by their names."""
    return {name: each for (kind, _, name), each in cluster.objects.items() if kind == plural}


def test_candidate_gets_ready_without_traffic_and_goes_on_with_its_pods(tmp_path: Path, cluster: fake.Cluster) -> None:
    """Staged, it is a canary with 0 percent; promoted, the predictor of that name, and only its Deployment is left."""
    deploy(tmp_path, "1")
    target = open_kserve(str(tmp_path / "root"), "conformance")
    plan = plan_number(target, tmp_path / "source", "2")
    with target.lock():
        target.stage(plan.release, plan.sources)
        staged = find(cluster, "inferenceservices")["conformance"]
        canary = staged["spec"]["canary"][0]
        assert (canary["trafficPercent"], canary["predictor"]["name"]) == (0, "v2")
        assert canary["predictor"]["model"]["storageUri"] == "pvc://models/conformance/versions/2"
        assert staged["metadata"]["annotations"][VERSION] == "1"
        generation = find(cluster, "deployments")["conformance-v2-predictor"]["metadata"]["generation"]
        target.promote("2")
    live = find(cluster, "inferenceservices")["conformance"]
    assert "canary" not in live["spec"]
    assert (live["spec"]["predictor"]["name"], live["metadata"]["annotations"][DIGEST]) == ("v2", plan.release.digest)
    left = find(cluster, "deployments")
    assert list(left) == ["conformance-v2-predictor"]
    assert left["conformance-v2-predictor"]["metadata"]["generation"] == generation


@pytest.mark.parametrize(("fate", "told"), [("crash", "CrashLoopBackOff"), ("never", "not ready after 0.2 s")])
def test_version_that_never_gets_ready_is_undone(tmp_path: Path, cluster: fake.Cluster, fate: str, told: str) -> None:
    """The reason of its pods is told, exit code 1, and the live version goes on alone, untouched."""
    deploy(tmp_path, "1")
    before = find(cluster, "deployments")["conformance-v1-predictor"]["metadata"]["resourceVersion"]
    cluster.fates["2"] = fate
    failed = deploy(tmp_path, "2")
    assert (failed.outcome, failed.outcome.exit_code) == (Outcome.REFUSED, 1)
    assert told in failed.reason
    assert list(find(cluster, "deployments")) == ["conformance-v1-predictor"]
    assert find(cluster, "deployments")["conformance-v1-predictor"]["metadata"]["resourceVersion"] == before


def test_first_version_that_crashes_leaves_nothing(tmp_path: Path, cluster: fake.Cluster) -> None:
    """Where nothing was live, nothing is left in the cluster but the Lease, which is free."""
    cluster.fates["1"] = "crash"
    assert deploy(tmp_path, "1").outcome is Outcome.REFUSED
    assert {kind for kind, _, _ in cluster.objects} == {"leases"}
    assert find(cluster, "leases")["conformance.seatrial"]["spec"]["holderIdentity"] == ""


def test_knative_keeps_a_version_back_by_its_share(tmp_path: Path, cluster: fake.Cluster) -> None:
    """A crashing revision never has traffic; going back gets the old version ready before it is switched to."""
    for number in "12":
        assert deploy(tmp_path, number, opener=open_knative).outcome is Outcome.LIVE
    cluster.fates["3"] = "crash"
    failed = deploy(tmp_path, "3", opener=open_knative)
    assert "RevisionFailed" in failed.reason
    service = find(cluster, "inferenceservices")["conformance"]
    assert service["metadata"]["annotations"][VERSION] == "2"
    assert "canaryTrafficPercent" not in service["spec"]["predictor"]
    target = open_knative(str(tmp_path / "root"), "conformance")
    assert apply(plan_rollback(target, None), target=target, prover=NumberProver()).outcome is Outcome.LIVE


class Shares(NumberTrial):
    """Two shares, and no shadow: KServe has none."""

    def list_phases(self) -> tuple[Phase, ...]:
        """The same without it."""
        return tuple(phase for phase in super().list_phases() if not phase.route.shadow)


@pytest.mark.parametrize("opener", [open_kserve, open_knative])
@pytest.mark.parametrize(("answer", "outcome"), [(Answer.PASS, Outcome.LIVE), (Answer.FAIL, Outcome.REVERTED)])
def test_candidate_has_a_share_of_the_requests(tmp_path: Path, opener: Any, answer: Answer, outcome: Outcome) -> None:
    """Each share is in force when it is judged; live or undone, none is left, and one version answers everybody."""
    deploy(tmp_path, "1", opener=opener)
    target = opener(str(tmp_path / "root"), "conformance")
    trial = Shares(target, "2", answer)
    done = apply(plan_number(target, tmp_path / "source", "2"), target=target, prover=NumberProver(), trial=trial)
    assert (done.outcome, trial.seen) == (outcome, [phase.route for phase in trial.list_phases()])
    assert expect_routing(target).read_route() == Route()
    live = target.observe().live
    assert live is not None
    assert (live.version, live.problem) == ("2" if outcome is Outcome.LIVE else "1", "")


def test_share_that_kserve_cannot_give_is_refused(tmp_path: Path, cluster: fake.Cluster) -> None:
    """A shadow, two versions, a fraction: one error each, and nothing is applied."""
    deploy(tmp_path, "1")
    routing, written = expect_routing(open_kserve(str(tmp_path / "root"), "conformance")), len(cluster.writes)
    for route in (Route(shadow="1"), Route(weights={"1": 1.0, "2": 1.0}), Route(weights={"1": 0.5})):
        with pytest.raises(ReleaseError, match="whole percents"):
            routing.route(route)
    assert len(cluster.writes) == written


def test_kserve_without_canaries_is_told_and_not_switched_blindly(tmp_path: Path, cluster: fake.Cluster) -> None:
    """An older KServe drops spec.canary: the deployment fails, and the live version stays."""
    cluster.canaries = False
    assert deploy(tmp_path, "1").outcome is Outcome.LIVE
    failed = deploy(tmp_path, "2")
    assert failed.outcome is Outcome.REFUSED
    assert "no spec.canary" in failed.reason
    assert list(find(cluster, "deployments")) == ["conformance-v1-predictor"]


def test_what_others_decide_on_is_left_to_them(tmp_path: Path, cluster: fake.Cluster) -> None:
    """A field that another manager holds is told; one that only seatrial decides on is taken over."""
    deploy(tmp_path, "1")
    key = next(key for key in cluster.objects if key[0] == "inferenceservices")
    theirs = {"metadata": {"name": "conformance"}, "spec": {"predictor": {"model": {"storageUri": "s3://old"}}}}
    cluster.answer("patch", key, {"fieldManager": "kubectl", "force": "true"}, theirs)
    live = open_kserve(str(tmp_path / "root"), "conformance").observe().live
    assert live is not None
    assert "says version 1, and reads s3://old" in live.problem
    assert deploy(tmp_path, "1").outcome is Outcome.LIVE
    theirs = {"metadata": {"name": "conformance"}, "spec": {"predictor": {"minReplicas": 4}}}
    cluster.answer("patch", key, {"fieldManager": "hpa", "force": "true"}, theirs)
    failed = deploy(tmp_path, "2")
    assert failed.outcome.exit_code in (1, 3)
    assert "conflict" in failed.reason


def test_service_of_somebody_else_is_not_taken(tmp_path: Path, cluster: fake.Cluster) -> None:
    """An InferenceService that seatrial did not make stays as it is."""
    target = open_kserve(str(tmp_path / "root"), "conformance")
    namespace = target.switch.settings.namespace  # type: ignore[attr-defined]
    theirs = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "conformance"},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "onnx"}, "storageUri": "s3://theirs"}}},
    }
    cluster.answer("create", ("inferenceservices", namespace, ""), {}, theirs)
    failed = deploy(tmp_path, "1")
    assert "seatrial did not make it" in failed.reason
    assert find(cluster, "inferenceservices")["conformance"]["spec"] == theirs["spec"]


def test_refusals_of_the_api_are_told(tmp_path: Path, cluster: fake.Cluster) -> None:
    """Missing right, missing KServe, an API that is away: one clear error each."""
    cluster.forbidden.add(("patch", "inferenceservices"))
    failed = deploy(tmp_path, "1")
    assert "not allowed: patch inferenceservices.serving.kserve.io" in failed.reason
    cluster.absent.add("inferenceservices")
    with pytest.raises(UsageError, match="KServe is not installed in this cluster"):
        open_kserve(str(tmp_path / "root"), "conformance").observe()
    config = tmp_path / "away"
    with fake.serve(fake.Cluster(), config):
        pass
    gone = Cluster(access=Access(kubeconfig=str(config)))
    with pytest.raises(ReleaseError, match="does not answer"):
        gone.list(PODS, {})


def test_lease_keeps_other_stores_out(tmp_path: Path, cluster: fake.Cluster) -> None:
    """Its holder is named; after its life without renewal it is taken over, and who lost it changes nothing more."""
    there = Cluster(access=Access(namespace="models"))
    first, second = (ClusterLock(cluster=there, name="m", holder=holder, seconds=1) for holder in ("ci-1", "ci-2"))
    with first.hold(0):
        with pytest.raises(BlockedError, match="ci-1 has held the Lease m"), second.hold(0):
            pass
        again = ClusterLock(cluster=there, name="m", holder="ci-1", seconds=1)
        with again.hold(0):  # a process of the same store: the first one is dead, as the store's lock was free
            pass
        with second.hold(5):
            while not first.lost:  # its next sign of life comes too late
                time.sleep(0.01)
            with pytest.raises(ReleaseError, match="was lost"):
                first.check()
    assert find(cluster, "leases")["m"]["spec"]["holderIdentity"] == ""


def test_holder_that_cannot_renew_changes_nothing_more(tmp_path: Path, cluster: fake.Cluster) -> None:
    """Somebody else may hold the Lease by then, so the version that was staged is not turned to."""
    deploy(tmp_path, "1")
    settings = tmp_path / "root/kserve.yaml"
    settings.write_text(f"{settings.read_text()}lease: 1\n")
    target = open_kserve(str(tmp_path / "root"), "conformance")
    plan = plan_number(target, tmp_path / "source", "2")
    with target.lock():
        target.stage(plan.release, plan.sources)
        cluster.forbidden.add(("update", "leases"))
        lock = target.switch._lock  # type: ignore[attr-defined]
        while not lock.lost:
            time.sleep(0.01)
        with pytest.raises(ReleaseError, match="was lost: not allowed: update leases"):
            target.promote("2")
    assert find(cluster, "inferenceservices")["conformance"]["metadata"]["annotations"][VERSION] == "1"


def test_settings_are_checked(tmp_path: Path) -> None:
    """What is missing, misspelt or no InferenceService is a usage error that names the file."""
    (tmp_path / "isvc.yaml").write_text("kind: Deployment\nspec: {predictor: {model: {}}}\n")
    for text in (
        None,
        "template: isvc.yaml\n",
        "template: isvc.yaml\nstorage: pvc://m/x\n",
        "template: isvc.yaml\nstorge: a\n",
        "template: isvc.yaml\nstorage: 'pvc://m/{version}'\n",
        "template: none.yaml\nstorage: 'pvc://m/{version}'\n",
    ):
        if text is not None:
            (tmp_path / "kserve.yaml").write_text(text)
        with pytest.raises(UsageError, match=r"kserve\.yaml|isvc\.yaml|none\.yaml"):
            assert open_target("kserve", str(tmp_path), "m").switch.template  # type: ignore[attr-defined]
