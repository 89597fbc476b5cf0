"""What is written beside a model: held against the published schemas, and against hostile names."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from bs4 import BeautifulSoup
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from seatrial.core.release import (
    GateRecord,
    GoldenPromise,
    Material,
    ModelFormat,
    Release,
    ReleaseFile,
    ScoreRecord,
    Signature,
    TensorSpec,
    digest_files,
)
from seatrial.deploy.documents import state_materials, state_provenance, state_tests, write_card, write_documents

FILES = (ReleaseFile(path="model.onnx", size=20, sha256="b" * 64),)
RELEASE = Release(
    name="flights",
    version="3",
    digest=digest_files(FILES),
    format=ModelFormat.ONNX,
    files=FILES,
    commit="5601846" + "0" * 33,
    lock_digest="0123.dir",
    verdict="passed",
    override="",
    metrics={"metrics.json:recall": 0.8},
    description="Late or not",
    source="https://example.org/flights.git",
    policy="seatrial.yaml",
    signature=Signature(
        inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 2)),),
        outputs=(TensorSpec(name="p", datatype="FP32", shape=(-1,)),),
        features=("hour", "wind"),
    ),
    golden=GoldenPromise(rows=8, judged=8, tolerance=1e-4),
    gates=(GateRecord(metric="m.json:recall", limit="≥ 0.5", outcome="passed"),),
    scores=(
        ScoreRecord(evaluation="delays", metric="recall", value=0.8, low=0.78, high=0.82, n=900),
        ScoreRecord(evaluation="delays", metric="recall", value=0.5, n=90, slice="carrier=F9"),
        ScoreRecord(evaluation="delays", metric="recall", value=0.79, n=90, slice="carrier=UA"),
    ),
    params={"params.yaml:depth": 3},
    commands=("python train.py",),
    materials=(Material(path="data/train", md5="1" * 32 + ".dir"), Material(path="train.py", md5="2" * 32)),
    environment={"seatrial": "0.1.0", "python": "3.11"},
)
BARE = Release(
    name="m",
    version="1",
    digest=RELEASE.digest,
    format=ModelFormat.SKOPS,
    files=FILES,
    commit="5601846",
    lock_digest="0",
    verdict="failed",
    override="incident 42",
    metrics={},
)
CASES = pytest.mark.parametrize("release", [RELEASE, BARE], ids=["told", "bare"])


def read_card(card: str) -> tuple[dict[str, Any], BeautifulSoup]:
    """Front matter and body, as the Hub reads them."""
    _, front, body = card.split("---\n", 2)
    return yaml.safe_load(front), BeautifulSoup(MarkdownIt("gfm-like", {"linkify": False}).render(body), "html.parser")


def test_card_tells_metrics_slices_and_limits() -> None:
    """The Hub finds the metrics of the whole set; a reader finds the slice that is furthest from it first."""
    front, body = read_card(write_card(RELEASE))
    (result,) = front["model-index"][0]["results"]
    assert front["model-index"][0]["name"] == "flights"
    assert result["metrics"] == [{"type": "recall", "name": "recall", "value": 0.8}]
    assert (result["task"]["type"], result["dataset"]["name"]) == ("tabular-classification", "delays")
    tables = [[cell.get_text() for cell in table.select("td")] for table in body.select("table")]
    assert ["delays", "recall", "0.8", "0.78 … 0.82", "900"] in tables
    weak = next(table for table in tables if "carrier=F9" in table)
    assert weak.index("carrier=F9") < weak.index("carrier=UA")
    assert "Late or not" in body.get_text()


def test_card_of_a_release_that_nothing_is_known_of_says_so() -> None:
    """What is not known is told, not left out, and an overruled verdict is in it."""
    front, body = read_card(write_card(BARE))
    assert "model-index" not in front
    for said in ("No metric was measured", "No slice was measured", "No gate was set", "no golden requests"):
        assert said in body.get_text()
    assert "failed, overruled: incident 42" in body.get_text()


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_of_the_project_leaves_its_place(text: str) -> None:
    """Whatever a name, a reason or a description is, the card has the same tables, and no HTML of it."""
    hostile = replace(
        RELEASE,
        description=text,
        override=text,
        gates=(GateRecord(metric=text, limit=text, outcome="passed", reason=text),),
        scores=(ScoreRecord(evaluation=text, metric="recall", value=0.8, n=1, slice=text),),
    )
    front, body = read_card(write_card(hostile))
    assert front["library_name"] == "onnx"
    gates = body.select("table")[-2]
    assert len(gates.select("tr")) == 2
    assert len(gates.select("td")) == 4
    assert not body.find_all(["a", "img", "script", "h3"])


@CASES
def test_bill_of_materials_fits_the_published_schema(release: Release) -> None:
    """CycloneDX 1.6, strictly; the model is in it with its data and its files."""
    facts = state_materials(release)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(facts)) is None
    assert facts["metadata"]["component"]["type"] == "machine-learning-model"
    refs = {each["bom-ref"] for each in facts["components"]}
    assert refs == set(facts["dependencies"][0]["dependsOn"])


@CASES
def test_provenance_has_the_shape_of_slsa(release: Release) -> None:
    """Subject, build definition and run details stand where a verifier looks for them."""
    facts = state_provenance(release)
    assert (facts["_type"], facts["predicateType"]) == (
        "https://in-toto.io/Statement/v1",
        "https://slsa.dev/provenance/v1",
    )
    assert facts["subject"] == [{"name": "model.onnx", "digest": {"sha256": "b" * 64}}]
    definition, details = facts["predicate"]["buildDefinition"], facts["predicate"]["runDetails"]
    assert {"buildType", "externalParameters", "resolvedDependencies"} <= set(definition)
    assert definition["resolvedDependencies"][0]["digest"] == {"gitCommit": release.commit}
    assert details["builder"]["id"].startswith("https://")


def test_result_of_the_gates_is_told() -> None:
    """Passed, warned and failed gates are listed apart, and an overruled verdict stays a failed one."""
    assert state_tests(RELEASE)["predicate"]["passedTests"] == ["m.json:recall (≥ 0.5)"]
    assert [state_tests(each)["predicate"]["result"] for each in (RELEASE, BARE)] == ["PASSED", "FAILED"]


def test_documents_are_the_same_for_the_same_release() -> None:
    """Nothing in them is of the moment, and what the model itself brings is kept."""
    first, again = write_documents(RELEASE), write_documents(RELEASE)
    assert [each.content for each in first] == [each.content for each in again]
    names = [each.file.path for each in first]
    assert names == ["README.md", "provenance.json", "test-result.json", "bom.cdx.json"]
    own = replace(RELEASE, files=(*FILES, ReleaseFile(path="README.md", size=1, sha256="c" * 64)))
    assert [each.file.path for each in write_documents(own)] == names[1:]
