"""TensorFlow's model server, asked from outside over its REST API: which version answers, and does it answer right."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seatrial.core.deployment import Answer, Check, GoldenProof
from seatrial.core.release import Release
from seatrial.errors import ReleaseError, ServeError
from seatrial.serving.card import read_card
from seatrial.serving.golden import NO_GOLDEN, GoldenSet, compare_answers, read_golden, send_json, spell_proof


def check_model_server(
    address: str, release: Release, directory: Path, *, patience: float = 30.0
) -> tuple[tuple[Check, ...], GoldenProof | None]:
    """Ask the server until the release's version alone is loaded, then its golden requests, naming no version.

    The server knows no digest: that a version is what was released, the bytes in its directory prove. `patience` are
    the seconds that it may take to switch.
    """
    base = f"{address.rstrip('/')}/v1/models/{release.name}"
    end, served = time.monotonic() + patience, _check_version(base, release.version)
    while not served.passed and time.monotonic() < end:
        time.sleep(0.2)
        served = _check_version(base, release.version)
    if not served.passed:
        return (served,), None
    try:
        golden = read_golden(directory)
        if golden is None:
            return (served, NO_GOLDEN), None
        proof = compare_answers(_predict(base, golden, directory), golden, base)
    except OSError as error:
        return (served, Check(name="golden", answer=Answer.ERROR, detail=f"{base}: {error}")), None
    except (ReleaseError, ServeError) as error:
        return (served, Check(name="golden", answer=Answer.FAIL, detail=error.message)), None
    return (served, spell_proof(proof)), proof


def _check_version(base: str, wanted: str) -> Check:
    try:
        answer, _ = send_json(base)
        states = [(str(each["version"]), str(each["state"])) for each in answer["model_version_status"]]
    except OSError as error:
        return Check(name="served", answer=Answer.ERROR, detail=f"{base}: {error}")
    except ReleaseError as error:
        return Check(name="served", answer=Answer.FAIL, detail=error.message)
    except (LookupError, TypeError):
        return Check(name="served", answer=Answer.FAIL, detail=f"{base} does not tell the states of versions")
    loaded = [version for version, state in states if state == "AVAILABLE"]
    told = ", ".join(f"version {version} is {state}" for version, state in states) or "no version is loaded"
    answer_of = Answer.PASS if loaded == [wanted] else Answer.FAIL
    return Check(name="served", answer=answer_of, detail=f"{base}: {told}")


def _predict(base: str, golden: GoldenSet, directory: Path) -> npt.NDArray[np.float64]:
    """The predictions for all golden rows, shape (rows,), of whatever version answers a request that names none."""
    card = read_card(directory)
    rows = [{card.input: list(row.features)} for row in golden.rows]
    answer, _ = send_json(f"{base}:predict", {"instances": rows})
    try:
        told = answer["predictions"]
        picked = [each[card.output] for each in told] if isinstance(told[0], dict) else told
        values = np.array(picked, dtype=np.float64)
        return card.pick(values).astype(np.float64)
    except (LookupError, TypeError, ValueError) as error:
        raise ReleaseError(f"{base}:predict answers with something that is no prediction") from error
