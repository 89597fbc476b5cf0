"""Places whose models a cluster serves: each test's place is a namespace of its own in the stand-in."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from seatrial.deploy import open_target
from seatrial.deploy.target import Target

SERVICE = """apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  annotations:
    serving.kserve.io/deploymentMode: {mode}
spec:
  predictor:
    minReplicas: 1
    model:
      modelFormat: {{name: onnx}}
"""


def open_kserve(place: str, name: str, mode: str = "Standard") -> Target:
    """The target in KServe's Standard mode, with the settings and the template that a user would have written."""
    root = Path(place)
    root.mkdir(parents=True, exist_ok=True)
    if not (root / "kserve.yaml").exists():
        (root / "isvc.yaml").write_text(SERVICE.format(mode=mode))
        namespace = f"test-{sha256(place.encode()).hexdigest()[:12]}"
        draft = root / ".kserve.yaml"
        draft.write_text(
            f"template: isvc.yaml\nnamespace: {namespace}\nseconds: 0.2\n"
            "storage: pvc://models/{name}/versions/{version}\n"
        )
        draft.rename(root / "kserve.yaml")
    return open_target("kserve", place, name)


def open_knative(place: str, name: str) -> Target:
    """The same in Knative mode."""
    return open_kserve(place, name, "Knative")
