"""Cut the Open Inference Protocol's own description: python cut_inference.py open_inference_rest.yaml.

What is left is the operations with their parameters, bodies and answers, and all schemas, without prose and examples.
Its paths write a parameter as `${NAME}`, which OpenAPI writes as `{NAME}`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

_PROSE = {"description", "summary", "title", "tags", "x-examples", "operationId"}


def cut(node: Any) -> Any:
    """A part of the description without prose; an answer keeps a description, since OpenAPI wants one."""
    if isinstance(node, list):
        return [cut(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {str(key).replace("${", "{"): cut(value) for key, value in node.items() if key not in _PROSE}
    return {**kept, "description": ""} if "content" in node and "description" in node else kept


def main() -> None:
    """Write the cut beside this file."""
    whole = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))
    info = {
        "title": "Open Inference Protocol",
        "version": whole["info"]["version"],
        "license": whole["info"]["license"],
    }
    part = {"openapi": whole["openapi"], "info": info, "paths": cut(whole["paths"])}
    for operations in part["paths"].values():
        for operation in operations.values():
            for answer in operation.get("responses", {}).values() if isinstance(operation, dict) else ():
                answer.setdefault("description", "")
    part["components"] = {"schemas": {name: cut(schema) for name, schema in whole["components"]["schemas"].items()}}
    place = Path(__file__).with_name("open-inference-subset.json")
    place.write_text(json.dumps(part, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
