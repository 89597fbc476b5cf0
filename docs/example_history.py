"""The branch that docs/how-to/history.md shows: sixteen trainings of a flight-delay model, one of them merged badly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.integration.branches import Step, declare, grow

# What each commit did, and the recall that it measured.
_TRAININGS = (
    ("Train the first model", 0.702),
    ("Merge branch 'weather-features'", 0.716),
    ("Merge branch 'more-trees'", 0.721),
    ("Merge branch 'carrier-as-category'", 0.734),
    ("Merge branch 'tune-rate'", 0.741),
    ("Merge branch 'hotfix'", None),
    ("Mend the merge of hotfix", 0.741),
    ("Move the metrics into reports/", 0.741),
    ("Merge branch 'new-split'", 0.729),
    ("Merge branch 'drop-tail-number'", 0.733),
    ("Merge branch 'calibrate'", 0.738),
    ("Merge branch 'airport-congestion'", 0.752),
    ("Merge branch 'seed'", 0.751),
    ("Merge branch 'upgrade-sklearn'", 0.753),
    ("Merge branch 'winter-data'", 0.768),
    ("Merge branch 'threshold'", 0.761),
)
_MOVED = 7
_CONFLICT = '{"recall": 0.741,\n<<<<<<< HEAD\n "log_loss": 0.48\n=======\n "log_loss": 0.47\n>>>>>>> hotfix\n}'
_POLICY = "version: 1\nmetrics:\n  recall: {at_least: 0.72, max_decrease: 0.01}\n"


def write_example(directory: Path) -> Path:
    """Make the branch and its site below a directory; the page of its recall."""
    grow(directory / "flights", _list_steps())
    (directory / "flights" / "seatrial.yaml").write_text(_POLICY, encoding="utf-8")
    command = [sys.executable, "-m", "seatrial", "-C", str(directory / "flights"), "history", "--site"]
    subprocess.run([*command, str(directory / "public")], check=True, capture_output=True)
    return next((directory / "public" / "metrics").glob("*recall*.html"))


def _list_steps() -> list[Step]:
    steps: list[Step] = []
    for at, (subject, recall) in enumerate(_TRAININGS):
        path = "metrics.json" if at < _MOVED else "reports/metrics.json"
        files: dict[str, str | None] = {path: _CONFLICT if recall is None else _measure(at, recall)}
        if at in {0, _MOVED}:
            files["dvc.yaml"] = declare(path)
        if at == _MOVED:
            files["metrics.json"] = None
        steps.append(
            Step(files=files, subject=subject, merges={"notes.md": f"{at}\n"} if "branch" in subject else None)
        )
        steps += [Step(files={"notes.md": f"{at}.{number}\n"}, subject="Write the notes") for number in range(3)]
    return steps


def _measure(at: int, recall: float) -> str:
    return json.dumps({"recall": recall, "log_loss": round(0.62 - recall / 5, 4), "latency": {"p95_ms": 40 + at % 5}})
