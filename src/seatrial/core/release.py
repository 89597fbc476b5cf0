"""A release: a model's files, named by their content, with what is known of where they come from.

A release is immutable. Its digest speaks of the files alone: the same bytes have the same digest whatever
commit brought them, which is how "already live" is told from "new".
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePosixPath
from typing import Any

import msgspec

from seatrial.core.metrics import Value
from seatrial.errors import ReleaseError

SCHEMA_VERSION = 1
MANIFEST = "release.json"
SIGNATURE = "release.sig"
BESIDE = frozenset({MANIFEST, SIGNATURE})
"""Files of a release that its manifest can't list: itself, and the signature that is made over it and all others."""
CARD = "model.json"
GOLDEN = "golden.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle"})


class ModelFormat(str, Enum):
    """The formats of models; only loading a pickle runs code of its author, and nothing here loads safetensors."""

    ONNX = "onnx"
    SAVED_MODEL = "saved-model"
    SKOPS = "skops"
    KERAS = "keras"
    PICKLE = "pickle"
    SAFETENSORS = "safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    """One file: its path in the release with `/`, its bytes, its SHA-256 as hex."""

    path: str
    size: int
    sha256: str


class GateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the gates that judged the commit."""

    metric: str
    limit: str
    outcome: str
    reason: str = ""


class ScoreRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A metric out of predictions, over all of an evaluation set or a `slice` of it, with its 95 % interval."""

    evaluation: str
    metric: str
    value: Value
    n: int
    slice: str = ""
    low: float | None = None
    high: float | None = None


class GoldenPromise(msgspec.Struct, frozen=True, kw_only=True):
    """What `golden.json` holds: requests, and how many of their scores are in the predictions that were judged."""

    rows: int
    judged: int
    tolerance: float


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What the model was made of: a file or directory, and its digest in `dvc.lock` (MD5 as hex, `.dir`)."""

    path: str
    md5: str


class TensorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor of a model: its type as the Open Inference Protocol writes it; -1 is a size that a request chooses."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is called: its tensors, and the names of the features in their order, where they are known."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The manifest `release.json`.

    `seal` is the SHA-256 of the manifest without it. `documents` are the files that were written for the release (model
    card, provenance, bill of materials); the digest does not speak of them, since every commit has its own.

    `version` is an integer as text, counted per model and target. `lock_digest` is what `dvc.lock` promises
    of the artifact (MD5 as hex, `.dir` for a directory). `override` is the reason why a verdict that forbids
    the release was overruled, else empty. `metrics` are keyed `FILE:KEY`. `signature` is None where the model could
    not be loaded when the release was made, `golden` where it brings no golden requests. `source` is the repository's
    address without credentials, `command` and `materials` are those of the stages that made the model, `environment`
    the versions that the release was made with. `pickles` are the files that run code when they are loaded, and that
    the policy names nevertheless.
    """

    schema_version: int = SCHEMA_VERSION
    name: str
    version: str
    digest: str
    format: ModelFormat
    files: tuple[ReleaseFile, ...]
    commit: str
    lock_digest: str
    verdict: str
    override: str
    metrics: Mapping[str, Value]
    signature: Signature | None = None
    golden: GoldenPromise | None = None
    description: str = ""
    source: str = ""
    policy: str = ""
    gates: tuple[GateRecord, ...] = ()
    scores: tuple[ScoreRecord, ...] = ()
    params: Mapping[str, Value] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    materials: tuple[Material, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    documents: tuple[ReleaseFile, ...] = ()
    pickles: tuple[str, ...] = ()
    seal: str = field(default="", compare=False)

    @property
    def contents(self) -> tuple[ReleaseFile, ...]:
        """All files but the manifest."""
        return (*self.files, *self.documents)


def digest_files(files: Iterable[ReleaseFile]) -> str:
    """`sha256:` and the hash over the sorted lines `PATH NUL SIZE NUL SHA256 LF`.

    >>> digest_files(())
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    lines = sorted(f"{file.path}\0{file.size}\0{file.sha256}\n".encode() for file in files)
    return "sha256:" + hashlib.sha256(b"".join(lines)).hexdigest()


def check_name(name: str) -> str:
    """Return a model's name that can be a directory and a part of an address, or raise ReleaseError."""
    if _NAME.match(name):
        return name
    raise ReleaseError(
        f"artifact name {name!r} can't name a release",
        hint="use letters, digits, '.', '_' and '-', beginning with a letter or a digit",
    )


def check_path(path: str, pickles: Collection[str] = ()) -> str:
    """Return a path that stays inside its release and holds no pickle by its name, or raise ReleaseError.

    `pickles` are those that the policy lets through.
    """
    parts = PurePosixPath(path).parts
    plain = path.isprintable() and "\\" not in path and path == "/".join(parts)
    if not parts or not plain or path.startswith("/") or ".." in parts or path in BESIDE:
        raise ReleaseError(f"{path!r} can't be the path of a file in a release")
    if path not in pickles and PurePosixPath(path).suffix.lower() in _PICKLES:
        raise refuse_pickle(path)
    return path


def refuse_pickle(path: str) -> ReleaseError:
    """The error for a file that runs code when it is loaded."""
    return ReleaseError(
        f"{path}: a pickle is not released, because loading it runs whatever its author wrote",
        hint="export the model as ONNX (skl2onnx, torch.onnx), with skops.io.dump, or as a TensorFlow SavedModel; "
        "`releases: {pickles: [FILE]}` in seatrial.yaml releases it nevertheless",
    )


def warn_of_pickles(pickles: Iterable[str]) -> str:
    """What whoever loads a release should know; empty where it names no pickle."""
    named = ", ".join(pickles)
    return f"loading {named} runs whatever its author wrote" if named else ""


def detect_format(paths: Iterable[str]) -> ModelFormat:
    """The format that a release's paths tell, or ReleaseError where they tell none or two."""
    names = {PurePosixPath(path).name for path in paths}
    found = [sign for sign in _SIGNS if sign in names]
    if len(found) == 1:
        return _SIGNS[found[0]]
    *first, last = (sign for sign, kind in _SIGNS.items() if kind is not ModelFormat.PICKLE)
    told = f"both {' and '.join(found)}" if found else f"neither {', '.join(first)} nor {last}"
    raise ReleaseError(
        f"the artifact holds {told}, so it can't be told how it is served",
        hint="export one model: a file named model.onnx, model.skops or model.keras, or a TensorFlow SavedModel",
    )


_SIGNS = {
    "model.onnx": ModelFormat.ONNX,
    "saved_model.pb": ModelFormat.SAVED_MODEL,
    "model.skops": ModelFormat.SKOPS,
    "model.keras": ModelFormat.KERAS,
    "model.safetensors": ModelFormat.SAFETENSORS,
    "model.pkl": ModelFormat.PICKLE,
    "model.joblib": ModelFormat.PICKLE,
}


def diff_files(promised: Iterable[ReleaseFile], found: Iterable[ReleaseFile]) -> tuple[str, ...]:
    """What differs between a manifest and a directory, one `PATH: altered|missing|not in the manifest` each."""
    wanted = {file.path: file for file in promised}
    present = {file.path: file for file in found}
    altered = [f"{path}: altered" for path in wanted if path in present and wanted[path] != present[path]]
    missing = [f"{path}: missing" for path in wanted if path not in present]
    extra = [f"{path}: not in the manifest" for path in present if path not in wanted]
    return tuple(sorted(altered + missing + extra))


def diff_release(release: Release, found: Iterable[ReleaseFile]) -> tuple[str, ...]:
    """What differs between a release and the files that a target holds of it, as `diff_files` says it."""
    return diff_files(release.contents, (file for file in found if file.path not in BESIDE))


def compare_signatures(live: Signature, candidate: Signature) -> tuple[str, ...]:
    """Why a request that the live model takes would be refused by the candidate, or mean something else."""
    return (
        *_compare_features(live.features, candidate.features),
        *_compare_tensors("input", live.inputs, candidate.inputs, new=False),
        *_compare_tensors("output", live.outputs, candidate.outputs, new=True),
    )


def _compare_features(live: tuple[str, ...], candidate: tuple[str, ...]) -> tuple[str, ...]:
    if live == candidate or not live:
        return ()
    removed = [f"feature {name!r} is gone" for name in live if name not in candidate]
    added = [f"feature {name!r} is new" for name in candidate if name not in live]
    return tuple(removed + added) or ("the features have another order",)


def _compare_tensors(
    kind: str, live: tuple[TensorSpec, ...], candidate: tuple[TensorSpec, ...], *, new: bool
) -> tuple[str, ...]:
    """What is incompatible; with `new`, tensors that only the candidate has harm nobody."""
    there = {tensor.name: tensor for tensor in candidate}
    gone = [f"{kind} {tensor.name!r} is gone" for tensor in live if tensor.name not in there]
    added = [f"{kind} {name!r} is new" for name in there if name not in {tensor.name for tensor in live} and not new]
    changed = [
        f"{kind} {tensor.name!r} was {_spell(tensor)} and is {_spell(there[tensor.name])}"
        for tensor in live
        if tensor.name in there and not _takes(there[tensor.name], tensor)
    ]
    return tuple(gone + added + changed)


def _takes(candidate: TensorSpec, live: TensorSpec) -> bool:
    same = candidate.datatype == live.datatype and len(candidate.shape) == len(live.shape)
    return same and all(new in (-1, old) for new, old in zip(candidate.shape, live.shape, strict=True))


def _spell(tensor: TensorSpec) -> str:
    return f"{tensor.datatype} {list(tensor.shape)}"


def record_values(metrics: Mapping[str, Value]) -> dict[str, Value]:
    """Metrics as a manifest holds them: JSON has no NaN, so numbers that are not finite become text."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in sorted(metrics.items())
    }


def encode_manifest(release: Release) -> bytes:
    """The manifest as JSON, sealed; the same release gives the same bytes."""
    facts = msgspec.to_builtins(release, order="deterministic")
    facts["seal"] = _seal(facts)
    return msgspec.json.format(msgspec.json.encode(facts), indent=2) + b"\n"


def _seal(facts: Mapping[str, Any]) -> str:
    """The hash over all that is written, so that it holds for manifests that have less to say, or more."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode({**facts, "seal": ""})).hexdigest()


def decode_manifest(data: bytes, place: str) -> Release:
    """Read a manifest and hold it to its own digest; ReleaseError names `place`."""
    try:
        release = msgspec.json.decode(data, type=Release)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReleaseError(f"{place}: not a release manifest: {error}") from error
    if release.schema_version != SCHEMA_VERSION:
        raise ReleaseError(
            f"{place}: schema_version is {release.schema_version}; this seatrial reads {SCHEMA_VERSION}",
            hint="use the version of seatrial that wrote it, or a newer one",
        )
    if digest_files(release.files) != release.digest:
        raise ReleaseError(f"{place}: the digest is not that of the files it lists", hint="deploy the model again")
    if _seal(msgspec.json.decode(data)) != release.seal:
        raise ReleaseError(f"{place}: the manifest was altered since it was written", hint="deploy the model again")
    return release
