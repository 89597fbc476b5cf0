"""What is written beside a model for those who find it: a card, its provenance, what was tested, what it consists of.

All are functions of the release alone, so that the same release has the same documents:

    README.md           the model card, with the front matter of the Hugging Face Hub (`model-index`)
    provenance.json     an in-toto statement in the shape of SLSA provenance v1
    test-result.json    an in-toto statement: which gates this model passed
    bom.cdx.json        a machine-learning bill of materials, CycloneDX 1.6
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import yaml

from seatrial.core.metrics import Value, is_finite
from seatrial.core.release import ModelFormat, Release, ScoreRecord
from seatrial.deploy.packing import SourceFile, write_document

CARD = "README.md"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PROVENANCE = "https://slsa.dev/provenance/v1"
_TESTED = "https://in-toto.io/attestation/test-result/v0.1"
_BUILDER = "https://github.com/seatrial/seatrial"
_LIBRARIES = {
    ModelFormat.ONNX: "onnx",
    ModelFormat.SAVED_MODEL: "keras",
    ModelFormat.SKOPS: "sklearn",
    ModelFormat.KERAS: "keras",
    ModelFormat.PICKLE: "sklearn",
    ModelFormat.SAFETENSORS: "safetensors",
}
_WORST_SLICES = 10


def write_documents(release: Release) -> tuple[SourceFile, ...]:
    """The documents of a release; one whose name the model itself takes is left out."""
    writers: dict[str, Callable[[Release], str]] = {
        CARD: write_card,
        "provenance.json": lambda it: _spell(state_provenance(it)),
        "test-result.json": lambda it: _spell(state_tests(it)),
        "bom.cdx.json": lambda it: _spell(state_materials(it)),
    }
    taken = {file.path for file in release.files}
    return tuple(write_document(path, write(release)) for path, write in writers.items() if path not in taken)


def _spell(facts: dict[str, Any]) -> str:
    return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


# --- The model card ---------------------------------------------------------------------------------------------------


def write_card(release: Release) -> str:
    """The model card in Markdown; names and texts of the project can't leave their cells."""
    front = yaml.safe_dump(_front_matter(release), sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{front}---\n\n# {_escape(release.name)}",
        _escape(release.description) or "*The project says nothing about what this model is for.*",
        _table(
            ("", ""),
            (
                ("digest", _code(release.digest)),
                ("format", release.format.value),
                ("commit", _code(release.commit)),
                ("repository", _code(release.source) if release.source else ""),
                (
                    "verdict",
                    release.verdict + (f", overruled: {_escape(release.override)}" if release.override else ""),
                ),
            ),
        ),
        f"## How it is called\n\n{_describe_signature(release)}",
        f"## How good it is\n\n{_describe_scores(release)}",
        f"## Where it is weak\n\n{_describe_limits(release)}",
        f"## What it was judged by\n\n{_describe_gates(release)}",
        f"## What it was made of\n\n{_describe_materials(release)}",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(release: Release) -> dict[str, Any]:
    """What the Hugging Face Hub reads; it shows one result for each metric of a whole evaluation set."""
    results = [
        {
            "task": {"type": "tabular-classification" if _is_classifier(release) else "other"},
            "dataset": {"name": evaluation, "type": evaluation},
            "metrics": [
                {"type": score.metric, "name": score.metric, "value": score.value}
                for score in release.scores
                if score.evaluation == evaluation and not score.slice and is_finite(score.value)
            ],
        }
        for evaluation in dict.fromkeys(score.evaluation for score in release.scores)
    ]
    facts = {
        "library_name": _LIBRARIES[release.format],
        "tags": ["seatrial", "dvc"],
        "model-index": [{"name": release.name, "results": [each for each in results if each["metrics"]]}],
    }
    return facts if facts["model-index"][0]["results"] else {key: facts[key] for key in ("library_name", "tags")}  # type: ignore[index]


def _is_classifier(release: Release) -> bool:
    return any(score.metric in {"roc_auc", "recall", "precision", "accuracy", "log_loss"} for score in release.scores)


def _describe_signature(release: Release) -> str:
    if release.signature is None:
        return "Not known: the model could not be loaded where the release was made."
    rows = [
        (kind, _code(tensor.name), tensor.datatype, " × ".join("any" if n < 0 else str(n) for n in tensor.shape))
        for kind, tensors in (("input", release.signature.inputs), ("output", release.signature.outputs))
        for tensor in tensors
    ]
    features = ", ".join(_code(name) for name in release.signature.features)
    return _table(("", "name", "type", "shape"), rows) + (
        f"\n\nFeatures, in this order: {features}" if features else ""
    )


def _describe_scores(release: Release) -> str:
    whole = [score for score in release.scores if not score.slice]
    if whole:
        return _table(
            ("evaluation", "metric", "value", "95 % interval", "samples"),
            ((_escape(s.evaluation), _code(s.metric), _number(s.value), _interval(s), f"{s.n:,}") for s in whole),
        )
    if release.metrics:
        return _table(("metric", "value"), ((_code(key), _number(value)) for key, value in release.metrics.items()))
    return "No metric was measured."


def _describe_limits(release: Release) -> str:
    """The slices where each metric is furthest from its value over all, the worst side first by distance."""
    sliced = [score for score in release.scores if score.slice and is_finite(score.value)]
    whole = {(s.evaluation, s.metric): s.value for s in release.scores if not s.slice and is_finite(s.value)}
    far = sorted(sliced, key=lambda score: -_distance(score, whole))[:_WORST_SLICES]
    said = f"{len(sliced)} values of slices were measured; these are furthest from the whole:\n\n" + _table(
        ("slice", "metric", "value", "over all", "samples"),
        (
            (
                _code(s.slice),
                _code(s.metric),
                _number(s.value),
                _number(whole.get((s.evaluation, s.metric))),
                f"{s.n:,}",
            )
            for s in far
        ),
    )
    pickles = ", ".join(_code(path) for path in release.pickles)
    loaded = f"\n\nLoading {pickles} runs whatever its author wrote." if pickles else ""
    unproved = "" if release.golden else "\n\nIt brings no golden requests: nothing proves what it answers once served."
    return (said if far else "No slice was measured, so nothing is known of parts of the data.") + unproved + loaded


def _distance(score: ScoreRecord, whole: dict[tuple[str, str], Value]) -> float:
    value, over_all = score.value, whole.get((score.evaluation, score.metric))
    if not isinstance(value, (int, float)) or not isinstance(over_all, (int, float)):
        return 0.0
    return abs(value - over_all)


def _describe_gates(release: Release) -> str:
    if not release.gates:
        return "No gate was set."
    rows = ((gate.outcome, _code(gate.metric), _escape(gate.limit), _escape(gate.reason)) for gate in release.gates)
    return _table(("", "metric", "limit", ""), rows)


def _describe_materials(release: Release) -> str:
    if not release.materials:
        return "`dvc.lock` names no stage that made it."
    rows = ((_code(material.path), _code(material.md5)) for material in release.materials)
    return _table(("file", "MD5 in dvc.lock"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ("---",) * len(head), *rows)]
    return "\n".join(lines)


def _escape(text: str) -> str:
    """Text of which Markdown makes nothing: no table, no HTML, no line of its own."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>()#!|" else char for char in plain).strip()


def _code(text: str) -> str:
    """Text as code, within a cell of a table."""
    plain = "".join(char if char.isprintable() else " " for char in text).replace("`", "'").replace("|", "\\|")
    return f"`{plain}`" if plain.strip() else ""


def _number(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else _escape(str("" if value is None else value))


def _interval(score: ScoreRecord) -> str:
    return "" if score.low is None or score.high is None else f"{score.low:.4g} … {score.high:.4g}"


# --- Statements for machines ------------------------------------------------------------------------------------------


def _state(release: Release, kind: str, predicate: dict[str, Any]) -> dict[str, Any]:
    subject = [{"name": file.path, "digest": {"sha256": file.sha256}} for file in release.files]
    return {"_type": _STATEMENT, "subject": subject, "predicateType": kind, "predicate": predicate}


def state_provenance(release: Release) -> dict[str, Any]:
    """Where the files come from: the commit, what `dvc.lock` says that they were made of, and the tools."""
    commit = {"uri": f"git+{release.source or 'file:///'}", "digest": {"gitCommit": release.commit}}
    materials = [{"name": material.path, "digest": _dvc_digest(material.md5)} for material in release.materials]
    definition = {
        "buildType": f"{_BUILDER}/dvc@v1",
        "externalParameters": {"artifact": release.name, "commit": release.commit, "params": dict(release.params)},
        "internalParameters": {"commands": list(release.commands), "dvc.lock": release.lock_digest},
        "resolvedDependencies": [commit, *materials],
    }
    details = {"builder": {"id": _BUILDER, "version": dict(release.environment)}}
    return _state(release, _PROVENANCE, {"buildDefinition": definition, "runDetails": details})


def _dvc_digest(md5: str) -> dict[str, str]:
    """DVC's digest of a directory is the MD5 of its list of files, which is none of a file."""
    return {"dvcDirectoryMd5": md5.removesuffix(".dir")} if md5.endswith(".dir") else {"md5": md5}


def state_tests(release: Release) -> dict[str, Any]:
    """Which gates judged the commit, and what they said."""
    names = [(gate.outcome, f"{gate.metric} ({gate.limit})") for gate in release.gates]
    result = {"passed": "PASSED", "warned": "WARNED"}.get(release.verdict, "FAILED")
    predicate = {
        "result": result,
        "configuration": [{"name": release.policy or "no policy", "digest": {"gitCommit": release.commit}}],
        "passedTests": [name for outcome, name in names if outcome == "passed"],
        "warnedTests": [name for outcome, name in names if outcome in {"warned", "waived", "noted"}],
        "failedTests": [name for outcome, name in names if outcome in {"failed", "inconclusive"}],
    }
    return _state(release, _TESTED, predicate)


def state_materials(release: Release) -> dict[str, Any]:
    """What the model consists of and was made of, as CycloneDX 1.6 writes it."""
    data = [
        {
            "type": "data",
            "bom-ref": f"data:{material.path}",
            "name": material.path,
            "hashes": _hash_material(material.md5),
        }
        for material in release.materials
    ]
    files = [
        {
            "type": "file",
            "bom-ref": f"file:{file.path}",
            "name": file.path,
            "hashes": [{"alg": "SHA-256", "content": file.sha256}],
        }
        for file in release.files
    ]
    model: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{release.name}",
        "name": release.name,
        "version": release.digest,
        "modelCard": _state_card(release),
    }
    if release.description:
        model["description"] = release.description
    tools = [{"type": "application", "name": name, "version": v} for name, v in release.environment.items()]
    refs = [each["bom-ref"] for each in (*files, *data)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": model, "tools": {"components": tools}},
        "components": [*files, *data],
        "dependencies": [{"ref": model["bom-ref"], "dependsOn": refs}, *({"ref": ref} for ref in refs)],
    }


def _hash_material(md5: str) -> list[dict[str, str]]:
    return [] if md5.endswith(".dir") else [{"alg": "MD5", "content": md5}]


def _state_card(release: Release) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "datasets": [{"ref": f"data:{material.path}"} for material in release.materials],
    }
    if release.signature is not None:
        parameters["inputs"] = [{"format": f"{t.name} {t.datatype}"} for t in release.signature.inputs]
        parameters["outputs"] = [{"format": f"{t.name} {t.datatype}"} for t in release.signature.outputs]
    metrics = [_state_score(score) for score in release.scores if is_finite(score.value)]
    return {"modelParameters": parameters, "quantitativeAnalysis": {"performanceMetrics": metrics}}


def _state_score(score: ScoreRecord) -> dict[str, Any]:
    told: dict[str, Any] = {"type": score.metric, "value": str(score.value)}
    if score.slice:
        told["slice"] = score.slice
    if score.low is not None and score.high is not None:
        told["confidenceInterval"] = {"lowerBound": str(score.low), "upperBound": str(score.high)}
    return told
