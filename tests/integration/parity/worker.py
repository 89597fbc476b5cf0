"""DVC's own command line, answering many questions in one process: starting it costs a second, asking it does not.

Questions come as JSON lines on standard input, `{"directory": …, "arguments": […]}`; answers go out the same way.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import BinaryIO


def main() -> None:
    """Answer until the input ends."""
    from dvc.cli import main as run_dvc  # type: ignore[import-untyped]

    # DVC's loggers and consoles hold on to the first stream they see: what they print is caught below them.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        os.dup2(said.fileno(), 1)
        os.dup2(complained.fileno(), 2)
        for line in sys.stdin:
            question = json.loads(line)
            os.chdir(question["directory"])
            code = run_dvc(question["arguments"])
            sys.stdout.flush()
            sys.stderr.flush()
            answer = {"code": code, "said": _take(said), "complained": _take(complained)}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _take(file: BinaryIO) -> str:
    """What a file holds; it is empty afterwards."""
    file.seek(0)
    text = file.read().decode("utf-8", "replace")
    file.seek(0)
    file.truncate()
    return text


if __name__ == "__main__":
    main()
