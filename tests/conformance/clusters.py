"""Places whose models a cluster serves: each test's place is a namespace of its own in the stand-in."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from seatrial.deploy import open_target
from seatrial.deploy.target import Target

EXAMPLES = Path(__file__).parents[2] / "examples/kubernetes"


def write_settings(root: Path, file: str, place: str) -> None:
    """The settings of the examples, with a namespace for this place alone and little patience."""
    namespace = f"test-{sha256(place.encode()).hexdigest()[:12]}"
    text = (EXAMPLES / file).read_text(encoding="utf-8").replace("namespace: models", f"namespace: {namespace}")
    draft = root / f".{file}"
    draft.write_text(f"{text}seconds: 0.2\n")
    draft.rename(root / file)


def open_kserve(place: str, name: str, mode: str = "Standard") -> Target:
    """The target in KServe's Standard mode, with the settings and the template that a user would have written."""
    root = Path(place)
    root.mkdir(parents=True, exist_ok=True)
    if not (root / "kserve.yaml").exists():
        template = (EXAMPLES / "isvc.yaml").read_text(encoding="utf-8")
        (root / "isvc.yaml").write_text(template.replace("deploymentMode: Standard", f"deploymentMode: {mode}"))
        write_settings(root, "kserve.yaml", place)
    return open_target("kserve", place, name)


def open_knative(place: str, name: str) -> Target:
    """The same in Knative mode."""
    return open_kserve(place, name, "Knative")


def open_plain(place: str, name: str) -> Target:
    """The target `kubernetes`, with the Deployment and the Service of the examples."""
    root = Path(place)
    root.mkdir(parents=True, exist_ok=True)
    if not (root / "kubernetes.yaml").exists():
        (root / "model.yaml").write_bytes((EXAMPLES / "model.yaml").read_bytes())
        write_settings(root, "kubernetes.yaml", place)
    return open_target("kubernetes", place, name)
