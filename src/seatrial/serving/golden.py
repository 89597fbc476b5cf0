"""Golden requests: rows whose predictions were evaluated, and that a served model must reproduce.

A model is asked in this process, by loading its directory, or from outside, over the Open Inference Protocol.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from seatrial.core.deployment import Answer, Check, GoldenProof
from seatrial.core.release import GOLDEN, Release, Signature, TensorSpec
from seatrial.errors import ReleaseError, ServeError
from seatrial.serving.card import read_card
from seatrial.serving.drift import read_profile
from seatrial.serving.runtimes import NUMPY_TYPES, LoadedModel, load_model
from seatrial.serving.weights import describe_weights

SMALLEST_ERROR = 1e-6
"""Absolute differences up to this one are the noise of 32-bit floats and of six written digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenRow:
    """One request: the features in the order of the model card, and the prediction that was evaluated."""

    features: tuple[float, ...]
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenSet:
    """The file `golden.json`; `tolerance` is the relative difference that a prediction may show."""

    rows: tuple[GoldenRow, ...]
    tolerance: float = 1e-4


def read_golden(directory: Path) -> GoldenSet | None:
    """The golden requests of a model directory, or None where it has none; an empty set is an error."""
    path = directory / GOLDEN
    if not path.exists():
        return None
    try:
        golden = msgspec.json.decode(path.read_bytes(), type=GoldenSet)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReleaseError(f"{path}: {error}") from error
    if not golden.rows:
        raise ReleaseError(f"{path}: there are no rows, so it proves nothing")
    if len({len(row.features) for row in golden.rows}) > 1:
        raise ReleaseError(f"{path}: the rows have different numbers of features")
    return golden


def prove_golden(directory: Path) -> GoldenProof | None:
    """Load a model directory and ask it its golden requests; None where it loads but has none.

    Raises ReleaseError for a model that can't be loaded, or answers differently or not at all. A prediction that
    is not a number is never right.
    """
    golden = read_golden(directory)
    model = _load(directory)
    return None if golden is None else compare_answers(_ask(model, golden, directory), golden, str(directory))


def describe_model(directory: Path, pickles: Collection[str] = ()) -> Signature:
    """Load a model directory and say how it is called; ReleaseError where it can't be loaded."""
    model = _load(directory, pickles)
    return Signature(
        inputs=tuple(TensorSpec(name=t.name, datatype=t.datatype, shape=t.shape) for t in model.runtime.inputs),
        outputs=tuple(TensorSpec(name=t.name, datatype=t.datatype, shape=t.shape) for t in model.runtime.outputs),
        features=model.card.inputs,
    )


def check_model(directory: Path, pickles: Collection[str] = ()) -> tuple[tuple[Check, ...], GoldenProof | None]:
    """Load a model directory and ask it: the checks `ready` and `golden`, and the proof where that passed.

    Of weights that nothing here loads, `ready` says that they are whole, and `golden` is inconclusive.
    """
    try:
        if told := describe_weights(directory):
            unasked = Check(
                name="golden", answer=Answer.INCONCLUSIVE, detail="nothing here runs a model of safetensors"
            )
            return (Check(name="ready", answer=Answer.PASS, detail=told), unasked), None
        model = _load(directory, pickles)
    except ReleaseError as error:
        return (Check(name="ready", answer=Answer.FAIL, detail=error.message),), None
    ready = Check(name="ready", answer=Answer.PASS)
    try:
        golden = read_golden(directory)
        if golden is None:
            return (ready, NO_GOLDEN), None
        proof = compare_answers(_ask(model, golden, directory), golden, "the model")
    except ReleaseError as error:
        return (ready, Check(name="golden", answer=Answer.FAIL, detail=error.message)), None
    return (ready, spell_proof(proof)), proof


def spell_proof(proof: GoldenProof) -> Check:
    """The check `golden` of a model that answered as it was evaluated."""
    detail = f"{proof.rows} golden requests answered (largest error {proof.largest_error:.1e})"
    return Check(name="golden", answer=Answer.PASS, detail=detail)


NO_GOLDEN = Check(
    name="golden", answer=Answer.INCONCLUSIVE, detail=f"the model brings no {GOLDEN}, so nothing proves its answers"
)


def check_served(
    address: str, release: Release, directory: Path, *, patience: float = 30.0
) -> tuple[tuple[Check, ...], GoldenProof | None]:
    """Ask the server at an address until it answers with the release's digest, then its golden requests.

    `patience` are the seconds that it may take to switch. The checks are `served`, the digest that answers, and
    `golden`; a server that can't be reached is an error, and one that goes on with another digest a failure.
    """
    base = f"{address.rstrip('/')}/v2/models/{release.name}"
    served = wait_for_digest(base, release.digest, patience)
    if not served.passed:
        return (served,), None
    try:
        golden = read_golden(directory)
        if golden is None:
            return (served, NO_GOLDEN), None
        answered, digest = _ask_served(base, golden, directory)
        if digest != release.digest:
            return (Check(name="served", answer=Answer.FAIL, detail=f"{digest or 'no digest'} answered"),), None
        proof = compare_answers(answered, golden, base)
    except OSError as error:
        return (served, Check(name="golden", answer=Answer.ERROR, detail=f"{base}: {error}")), None
    except (ReleaseError, ServeError) as error:
        return (served, Check(name="golden", answer=Answer.FAIL, detail=error.message)), None
    return (served, spell_proof(proof)), proof


def wait_for_digest(base: str, wanted: str, patience: float) -> Check:
    """The check `served`: within so many seconds, what is at an address answers with the digest that is wanted."""
    end, served = time.monotonic() + patience, _check_digest(base, wanted)
    while not served.passed and time.monotonic() < end:
        time.sleep(0.2)
        served = _check_digest(base, wanted)
    return served


def _check_digest(base: str, wanted: str) -> Check:
    try:
        _, digest = send_json(base)
    except OSError as error:
        return Check(name="served", answer=Answer.ERROR, detail=f"{base}: {error}")
    except ReleaseError as error:
        return Check(name="served", answer=Answer.FAIL, detail=error.message)
    answer = Answer.PASS if digest == wanted else Answer.FAIL
    return Check(name="served", answer=answer, detail=f"{base} answers with {digest or 'no digest'}")


def _ask_served(base: str, golden: GoldenSet, directory: Path) -> tuple[npt.NDArray[np.float64], str]:
    """The predictions that a server gives, and the digest that it says gave them."""
    card = read_card(directory)
    described, _ = send_json(base)
    tensors = {each["name"]: each["datatype"] for each in described["inputs"]}
    rows = [row.features for row in golden.rows]
    tensor = {
        "name": card.input,
        "shape": [len(rows), len(rows[0])],
        "datatype": tensors.get(card.input, "FP32"),
        "data": [value for row in rows for value in row],
    }
    answer, digest = send_json(f"{base}/infer", {"inputs": [tensor], "outputs": [{"name": card.output}]})
    try:
        output = next(each for each in answer["outputs"] if each["name"] == card.output)
        values = np.array(output["data"], dtype=np.float64).reshape(output["shape"])
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise ReleaseError(f"{base} answers with something that is no prediction") from error
    return (values if values.ndim == 1 else values[:, card.output_column]), digest


def send_json(url: str, body: dict[str, Any] | None = None) -> tuple[dict[str, Any], str]:
    """The JSON and the digest that a server answers; ReleaseError for a refusal, OSError where nobody answers."""
    if not url.startswith(("http://", "https://")):
        raise ReleaseError(f"{url} is no address of a server", hint="it begins with http:// or https://")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the scheme was looked at above
            return json.load(answer), answer.headers.get("X-Model-Digest", "")
    except urllib.error.HTTPError as error:
        raise ReleaseError(f"{url} answers {error.code}: {error.read(500).decode(errors='replace')}") from error
    except ValueError as error:
        raise ReleaseError(f"{url} does not answer with JSON") from error


def _load(directory: Path, pickles: Collection[str] = ()) -> LoadedModel:
    try:
        model = load_model(directory, pickles)
        read_profile(directory, model)  # refused here, rather than by the server that takes the release
    except ServeError as error:
        raise ReleaseError(f"the model can't be served: {error.message}", hint=error.hint) from error
    return model


def compare_answers(answered: npt.NDArray[np.float64], golden: GoldenSet, place: str) -> GoldenProof:
    """Hold answers to golden requests, shape (rows,), against what was evaluated; ReleaseError where they differ."""
    expected = np.array([row.probability for row in golden.rows])
    if answered.shape != expected.shape:
        raise ReleaseError(f"{place}: {expected.size} golden requests, answers of shape {answered.shape}")
    wrong = ~np.isclose(answered, expected, rtol=golden.tolerance, atol=SMALLEST_ERROR)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ReleaseError(
            f"the model answers {int(wrong.sum())} of {expected.size} golden requests differently from what was "
            f"evaluated: request {row} gives {answered[row]:.6g}, evaluated was {expected[row]:.6g}",
            hint="export the model again from the run that was evaluated; what was live is untouched",
        )
    return GoldenProof(rows=int(expected.size), largest_error=float(np.abs(answered - expected).max()))


def _ask(model: LoadedModel, golden: GoldenSet, directory: Path) -> npt.NDArray[np.float64]:
    datatype = next(tensor.datatype for tensor in model.runtime.inputs if tensor.name == model.card.input)
    features = np.array([row.features for row in golden.rows], dtype=NUMPY_TYPES[datatype])
    try:
        return np.asarray(model.predict(features), dtype=np.float64)
    except (ValueError, IndexError) as error:
        raise ReleaseError(f"{directory}: the model can't answer its golden requests: {error}") from error
