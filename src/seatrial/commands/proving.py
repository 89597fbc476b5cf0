"""Asking models on behalf of the engine of deployments: in this process, and through a server that answers already."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from msgspec import Struct

from seatrial.commands.signing import SignedProver, open_keys
from seatrial.core.deployment import Answer, Check
from seatrial.core.environment import Environment
from seatrial.core.release import MANIFEST, Release, Signature, decode_manifest, warn_of_pickles
from seatrial.deploy.engine import Examination, Prover
from seatrial.errors import UsageError

_MISSING = "{} is not installed, and a model is not deployed without asking it"


class ModelProver(Struct, frozen=True, kw_only=True):
    """Loads models with the runtimes of `seatrial serve`; with an `address`, asks the server there from outside.

    `patience` are the seconds that the server may take to switch. Pickles that a release names are loaded only where
    they are allowed. A `model_server` is TensorFlow's, which is asked over its own REST API.
    """

    address: str = ""
    model_server: bool = False
    patience: float = 30.0
    allow_pickles: bool = False

    def examine(self, directory: Path) -> Examination:
        """Load the model of a directory and ask its golden requests."""
        try:
            pickles = read_pickles(directory)
            if pickles and not self.allow_pickles:
                return Examination(checks=(_refuse(pickles),))
            checks, golden = _import_golden().check_model(directory, pickles)
        except Exception as error:  # noqa: BLE001 - whatever a model does wrong, it is the answer of a check
            return Examination(checks=(_explain("ready", error),))
        return Examination(checks=checks, golden=golden)

    def look_from_outside(self, release: Release, directory: Path) -> Examination:
        """Ask the server where there is one; else what the pointer leads to now, read anew."""
        if not self.address:
            return self.examine(directory)
        try:
            check = _import_model_server() if self.model_server else _import_golden().check_served
            checks, golden = check(self.address, release, directory, patience=self.patience)
        except Exception as error:  # noqa: BLE001 - nor may what a server answers end the deployment half-way
            return Examination(checks=(_explain("served", error),))
        return Examination(checks=checks, golden=golden)


def open_prover(environment: Environment, planned: Release | None = None) -> Prover:
    """What asks the models of an environment: every command that may prove, or recover, opens it here.

    Pickles are loaded where the environment allows it, or the policy names some of the release that is `planned`.
    """
    allowed = environment.allow_pickles or (planned is not None and bool(planned.pickles))
    prover = ModelProver(
        address=environment.address, model_server=environment.target == "tensorflow-serving", allow_pickles=allowed
    )
    keys = open_keys(environment.verify_key)
    return SignedProver(prover=prover, keys=keys) if keys else prover


def _import_golden() -> ModuleType:
    try:
        from seatrial.serving import golden
    except ImportError as error:
        raise UsageError(_MISSING.format(error.name), hint="pip install 'seatrial[serving]'") from error
    return golden


def _import_model_server() -> Any:
    from seatrial.serving.model_server import check_model_server

    return check_model_server


def require_runtimes() -> None:
    """Raise UsageError where nothing is installed that could ask a model."""
    _import_golden()


def _explain(name: str, error: Exception) -> Check:
    said = f"{error.message} ({error.hint})" if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
    return Check(name=name, answer=Answer.ERROR, detail=said)


def _refuse(pickles: tuple[str, ...]) -> Check:
    return Check(name="ready", answer=Answer.ERROR, detail=f"{warn_of_pickles(pickles)}, which --allow-pickles allows")


def read_pickles(directory: Path) -> tuple[str, ...]:
    """The files of a release that run code when they are loaded, as its manifest names them."""
    path = directory / MANIFEST
    return decode_manifest(path.read_bytes(), str(path)).pickles if path.exists() else ()


def describe_model(directory: Path, pickles: tuple[str, ...] = ()) -> Signature | None:
    """How the model of a directory is called; None where it, or what loads it, is not there to be asked."""
    try:
        described: Signature = _import_golden().describe_model(directory, pickles)
    except Exception:  # noqa: BLE001 - whatever a model does wrong, the checks of its deployment tell it
        return None
    return described
