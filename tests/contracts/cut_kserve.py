"""Cut KServe's own definition of an InferenceService: python cut_kserve.py serving.kserve.io_inferenceservices.yaml.

What is left is the schema of v1beta1 without prose, its predictor with the fields that a served model needs, as
`spec.predictor` and in `spec.canary`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

_PREDICTOR = {
    *("annotations", "canaryTrafficPercent", "labels", "maxReplicas", "minReplicas", "model", "name", "scaleMetric"),
    *("scaleTarget", "serviceAccountName", "timeout"),
}
_MODEL = {"args", "modelFormat", "name", "protocolVersion", "resources", "runtime", "runtimeVersion", "storageUri"}
_SPEC = {"predictor", "canary"}


def cut(node: Any) -> Any:
    """A part of the schema without prose."""
    if isinstance(node, list):
        return [cut(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: cut(value) for key, value in node.items() if not (key == "description" and isinstance(value, str))}


def keep(schema: dict[str, Any], names: set[str]) -> None:
    """Leave the named properties alone."""
    schema["properties"] = {name: value for name, value in schema["properties"].items() if name in names}


def main() -> None:
    """Write the cut beside this file."""
    whole = next(iter(yaml.load_all(Path(sys.argv[1]).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)))
    version = next(each for each in whole["spec"]["versions"] if each["name"] == "v1beta1")
    schema = cut(version["schema"]["openAPIV3Schema"])
    spec = schema["properties"]["spec"]
    keep(spec, _SPEC)
    for predictor in (
        spec["properties"]["predictor"],
        spec["properties"]["canary"]["items"]["properties"]["predictor"],
    ):
        keep(predictor, _PREDICTOR)
        keep(predictor["properties"]["model"], _MODEL)
    place = Path(__file__).with_name("kserve-inferenceservice-subset.json")
    place.write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
