"""The merged model on its way: deployed, served, asked; and releases that must not get through."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.pull_request import Project
from demo.terminal import environment, say

ARTIFACT = "flights-delay"


def deploy(project: Project, root: Path, *options: str, expected: int = 0) -> None:
    """`seatrial deploy`, which must end with the exit code that is expected; what it says of it is shown."""
    done = subprocess.run(
        ("seatrial", "deploy", ARTIFACT, "--to", str(root), *options),
        cwd=project.directory,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    said = done.stdout or done.stderr[done.stderr.find("error:") :]
    for line in (said if done.returncode == expected else done.stdout + done.stderr).rstrip().splitlines():
        say(f"      {line}")
    say(f"      exit code {done.returncode}")
    if done.returncode != expected:
        sys.exit(f"expected exit code {expected}")


def swap_model(project: Project) -> None:
    """Let main hold another model than the one that was evaluated, its digests in order: DVC has nothing to object."""
    champion = project.directory / "models/champion/model.onnx"
    champion.unlink()  # it may be a link into DVC's cache
    shutil.copyfile(project.directory / "models/logistic/model.onnx", champion)
    subprocess.run(
        ("dvc", "commit", "--quiet", "--force", "export"), cwd=project.directory, env=environment(), check=True
    )
    project.commit("Tidy up the champion")


@contextmanager
def serve(root: Path) -> Iterator[str]:
    """The model server as a process of its own; its address."""
    process = subprocess.Popen(
        ("seatrial", "serve", str(root), "--port", "0"),
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
        encoding="utf-8",
    )
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith("serving on ")), None)
        if line is None:
            sys.exit("the model server did not start")
        yield line.removeprefix("serving on ").strip()
    finally:
        process.terminate()
        process.wait(timeout=30)


def ask(address: str, model: Path) -> None:
    """Send one flight of the evaluation, and show the answer beside what was evaluated; they must not differ."""
    card = json.loads((model / "model.json").read_text(encoding="utf-8"))
    row = json.loads((model / "golden.json").read_text(encoding="utf-8"))["rows"][0]
    tensor = {"name": card["input"], "shape": [1, len(row["features"])], "datatype": "FP32", "data": row["features"]}
    body = {"inputs": [tensor], "outputs": [{"name": card["output"]}]}
    url = f"{address}/v2/models/{ARTIFACT}/infer"
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        served = json.load(answer)["outputs"][0]["data"][card.get("output_column", 0)]
        digest = answer.headers["X-Model-Digest"]
    say(f"      POST {url}")
    say(f"      flight {row['flight_id']}: late with probability {served:.6f}, evaluated: {row['probability']:.6f}")
    say(f"      {card['format']}, {digest}")
    if abs(served - row["probability"]) > 1e-4:
        sys.exit("the model answers otherwise than it was evaluated")
