"""The target `tensorflow-serving`: a directory that TensorFlow's model server reads.

    DIR/tensorflow-serving.yaml   settings, all of them optional
    DIR/models.config             what the server is to load: --model_config_file, polled by the server
    DIR/NAME/2/…                  a SavedModel, and assets.extra/ with warm-up requests and what it was made of
    DIR/NAME/versions/2/…         the release; log, journal and lock stand beside it as for the target `local`

The files of `DIR/NAME/2` are those of the release, by hard links where the file system has them. A version is complete
before it gets its number, and `models.config` is replaced by a rename, so that the server never reads a half of either.

A request that names no version is answered by the highest one that is loaded. What is staged is therefore loaded as a
model of its own, `NAME@staged`, and not beside the live version. The server refuses a whole configuration in which a
label names a version that is not loaded; so the label `live` is there only with an `address` to ask when it is.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from seatrial.core.release import (
    GOLDEN,
    ModelFormat,
    Release,
    ReleaseFile,
    TensorSpec,
    check_name,
    diff_files,
)
from seatrial.deploy.local import LocalTarget, explaining, sync, write_durably
from seatrial.deploy.packing import SourceFile, list_files
from seatrial.deploy.places import is_address
from seatrial.deploy.settings import read_settings
from seatrial.deploy.switching import Live, SwitchingTarget
from seatrial.deploy.target import Store
from seatrial.errors import ReleaseError, UsageError

SETTINGS = "tensorflow-serving.yaml"
CONFIG = "models.config"
LABEL = "live"
STAGED = "@staged"
RECORD = "assets.extra/seatrial.json"
WARMUP = "assets.extra/tf_serving_warmup_requests"
_SAVED_MODEL = "saved_model.pb"
_TEMPORARY = ".tmp-"
_MOST_WARMUP = 1000
"""The server ignores the whole file if it holds more."""
_HINT = "the keys are base_path, address and seconds"
_HEADER = "# Written by seatrial; models that it does not deploy stay as they are.\n"
_TYPES = {
    "BOOL": "bool",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    **{f"INT{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
}


class ServerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`tensorflow-serving.yaml`, or `settings` of an environment.

    `base_path` is where the server sees the directory, if not where seatrial does. With `address`, the server's REST
    API, each step waits until the server has loaded the version, `seconds` at most.
    """

    base_path: str = ""
    address: str = ""
    seconds: float = 60.0


class ServedRecord(Struct, frozen=True, kw_only=True):
    """What a numbered directory was made of: the release's digest, and the file that it has beside the release's."""

    version: str
    digest: str
    warmup: ReleaseFile | None = None


def open_tensorflow_serving(place: str, name: str, settings: Mapping[str, Any] | None = None) -> ServedTarget:
    """The target for one model; UsageError for a place that is no directory, and for settings that can't be used."""
    if is_address(place):
        raise UsageError(
            f"{place}: --target tensorflow-serving writes to a directory",
            hint="give the directory that the model server reads",
        )
    root = Path(place)
    store = LocalTarget(root=root, name=name)
    server = ModelServer(root=root, store=store, settings=_read_settings(root, settings))
    return ServedTarget(store=store, switch=server)


def _read_settings(root: Path, given: Mapping[str, Any] | None) -> ServerSettings:
    there = given is not None or (root / SETTINGS).exists()
    settings = read_settings(ServerSettings, str(root), SETTINGS, given, _HINT) if there else ServerSettings()
    place = "settings" if given is not None else root / SETTINGS
    if settings.address and not settings.address.startswith(("http://", "https://")):
        raise UsageError(f"{place}: address {settings.address!r} does not begin with http:// or https://")
    if settings.base_path and not is_address(settings.base_path) and not settings.base_path.startswith("/"):
        raise UsageError(f"{place}: base_path {settings.base_path!r} is relative, and the model server refuses that")
    return settings


@dataclass(frozen=True, kw_only=True)
class ModelServer:
    """What the model server is told to load of one model, and, with an address, what it says of it."""

    root: Path
    store: Store
    settings: ServerSettings

    @property
    def name(self) -> str:
        """The model's name."""
        return check_name(self.store.name)

    @cached_property
    def _home(self) -> Path:
        return self.root / self.name

    @contextmanager
    def lock(self, patience: float | None, held: object) -> Iterator[None]:
        """The store's lock is enough: both are in one directory. What a crash left behind is swept away."""
        del patience
        with explaining(self._home):
            for left in self._home.glob(f"{_TEMPORARY}*"):
                shutil.rmtree(left)
        self._forget_staged()
        yield

    def ask(self) -> Live:
        """The version that `models.config` lets answer everybody, and the digest that its directory tells."""
        version = _find_live(self._read_config(), self.name)
        if not version:
            return Live()
        try:
            return Live(version=version, digest=self._read_record(version).digest)
        except ReleaseError as error:
            return Live(version=version, problem=error.message)

    def bring_up(self, release: Release) -> None:
        """Give a version its numbered directory, and let the server load it as `NAME@staged`."""
        self._project(release)
        if _find_live(self._read_config(), self.name) == release.version:
            return
        self._write_config(lambda config: self._set_model(config, self._staged, (release.version,)))
        try:
            self._await(self._staged, release.version)
        except ReleaseError:
            self._forget_staged()
            raise

    @property
    def _staged(self) -> str:
        """The name by which the server knows what is on trial; no artifact can have it."""
        return f"{self.name}{STAGED}"

    def _forget_staged(self) -> None:
        if _find_live(self._read_config(), self._staged):
            self._write_config(lambda config: self._set_model(config, self._staged, ()))

    def turn_to(self, release: Release) -> None:
        """Let a version answer everybody: one rename; with an address, one before it that lets it load."""
        self.bring_up(release)
        live = _find_live(self._read_config(), self.name)
        if self.settings.address and live != release.version:
            self._load_beside(live, release.version)

        def switch(config: Any) -> None:
            self._set_model(config, self.name, (release.version,), label=self._label(release.version))
            self._set_model(config, self._staged, ())

        self._write_config(switch)

    def _load_beside(self, live: str, version: str) -> None:
        """Let the server load a version beside the live one; a label can only go to one that is loaded."""
        versions, label = tuple(filter(None, (live, version))), self._label(live)
        self._write_config(lambda config: self._set_model(config, self.name, versions, label=label))
        try:
            self._await(self.name, version)
        except ReleaseError:
            before = (live,) if live else ()
            self._write_config(lambda config: self._set_model(config, self.name, before, label=label))
            self._forget_staged()
            raise

    def _label(self, version: str) -> str:
        return version if self.settings.address else ""

    def turn_off(self) -> None:
        """Let the server unload the model."""
        self._write_config(lambda config: self._set_model(config, self.name, ()))

    def take_down(self, version: str) -> None:
        """Let the server forget a staged version, and take its directory away."""
        if _find_live(self._read_config(), self._staged) == version:
            self._forget_staged()
        self._remove(self._place(version))

    def _place(self, version: str) -> Path:
        """The numbered directory of a version; ReleaseError for what is no version's number."""
        self.store.locate(version)
        return self._home / version

    # What the server reads

    def choose_files(self, release: Release) -> dict[str, str]:
        """Which file of a release stands where in its numbered directory; ReleaseError where it is no SavedModel."""
        found = [PurePosixPath(file.path) for file in release.files if PurePosixPath(file.path).name == _SAVED_MODEL]
        if release.format is not ModelFormat.SAVED_MODEL or len(found) != 1:
            raise ReleaseError(
                f"{release.name} is a model of the format {release.format.value}, "
                "and TensorFlow Serving loads SavedModels alone",
                hint="export it as one SavedModel (tf.saved_model.save, model.export), or take --target local",
            )
        top = found[0].parent
        paths = [PurePosixPath(file.path) for file in release.files]
        return {str(path.relative_to(top)): str(path) for path in paths if path.is_relative_to(top)}

    def compare(self, release: Release) -> tuple[str, ...]:
        """Hash what the server reads of a version: what differs from its release; nothing where it was never up."""
        place = self._place(release.version)
        if not place.exists():
            return ()
        try:
            record = self._read_record(release.version)
            with explaining(place):
                found = [file for file in list_files(place) if file.path != RECORD]
        except ReleaseError as error:
            return (error.message,)
        if record.digest != release.digest:
            return (f"{place} is of {record.digest}",)
        files = {file.path: file for file in release.files}
        wanted = [replace(files[path], path=at) for at, path in self.choose_files(release).items()]
        wanted += [record.warmup] if record.warmup else []
        return tuple(f"{release.version}/{told}" for told in diff_files(wanted, found))

    def _read_record(self, version: str) -> ServedRecord:
        path = self._place(version) / RECORD
        with explaining(path):
            content = path.read_bytes()
        try:
            return msgspec.json.decode(content, type=ServedRecord)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ReleaseError(f"{path}: {error}", hint="deploy the model again") from error

    def _project(self, release: Release) -> None:
        """Give a version its numbered directory: made beside its place, and renamed when it is complete."""
        place = self._place(release.version)
        if place.exists() and not self.compare(release):
            return
        draft = self._home / f"{_TEMPORARY}{secrets.token_hex(8)}"
        directory = self.store.locate(release.version)
        with explaining(place):
            try:
                for at, path in self.choose_files(release).items():
                    _link(directory / path, draft / at)
                record = ServedRecord(
                    version=release.version, digest=release.digest, warmup=_warm_up(release, directory, draft)
                )
                (draft / RECORD).parent.mkdir(exist_ok=True)
                write_durably(draft / RECORD, msgspec.json.encode(record))
                for inner, _, _ in os.walk(draft):
                    sync(Path(inner))
                self._remove(place)
                draft.rename(place)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            sync(self._home)

    def _remove(self, place: Path) -> None:
        """Take a numbered directory away, in a way that never shows a half of it."""
        if not place.exists():
            return
        with explaining(place):
            gone = self._home / f"{_TEMPORARY}{secrets.token_hex(8)}"
            place.rename(gone)
            shutil.rmtree(gone)

    # What the server is told

    def _read_config(self) -> Any:
        """`models.config`, an empty one where there is none; ReleaseError where it is none that can be added to."""
        protobuf = _import_protobuf()
        config, path = protobuf.ModelServerConfig(), self.root / CONFIG
        with explaining(path):
            text = path.read_text() if path.exists() else ""
        try:
            protobuf.Parse(text, config)
        except (protobuf.ParseError, UnicodeDecodeError) as error:
            raise ReleaseError(f"{path}: no ModelServerConfig: {error}") from error
        if config.HasField("custom_model_config"):
            raise ReleaseError(f"{path}: custom_model_config leaves no room for models", hint="use model_config_list")
        config.model_config_list.SetInParent()
        return config

    def _write_config(self, change: Callable[[Any], None]) -> None:
        """Change `models.config` by one rename; other models are changed by other deployers at the same time."""
        path = self.root / CONFIG
        with explaining(path), _alone(self.root / f".{CONFIG}.lock"):
            config = self._read_config()
            change(config)
            for left in self.root.glob(f".{CONFIG}-*"):
                left.unlink()
            draft = self.root / f".{CONFIG}-{secrets.token_hex(8)}"
            write_durably(draft, (_HEADER + _import_protobuf().MessageToString(config)).encode())
            draft.replace(path)
            sync(self.root)

    def _set_model(self, config: Any, name: str, versions: tuple[str, ...], *, label: str = "") -> None:
        """Let a model be loaded in these versions, or not at all; what else is said of it stays."""
        models = config.model_config_list.config
        if not versions:
            kept = [model for model in models if model.name != name]
            del models[:]
            models.extend(kept)
            return
        model = next((model for model in models if model.name == name), None) or models.add(name=name)
        model.base_path = f"{self.settings.base_path or self.root.resolve()}/{self.name}"
        model.model_platform = "tensorflow"
        model.model_version_policy.specific.versions[:] = [int(version) for version in versions]
        model.version_labels.clear()
        if label:
            model.version_labels[LABEL] = int(label)

    # What the server says

    def _await(self, model: str, version: str) -> None:
        """Wait until the server has loaded a version, where there is one to ask; ReleaseError says why it has not."""
        if not self.settings.address:
            return
        url = f"{self.settings.address.rstrip('/')}/v1/models/{quote(model, safe='@')}/versions/{version}"
        end = time.monotonic() + self.settings.seconds
        while True:
            state, problem = _ask_state(url, version)
            if state == "AVAILABLE":
                return
            if (state == "END" and problem) or time.monotonic() >= end:
                raise ReleaseError(
                    f"{url}: the version is {state or 'unknown'}{f': {problem}' if problem else ''}",
                    hint=f"the server has to read {self.root / CONFIG}, and to poll it",
                )
            time.sleep(0.1)


@dataclass(frozen=True, kw_only=True)
class ServedTarget(SwitchingTarget[ModelServer]):
    """The target: a store, and the model server that reads its SavedModels."""

    def stage(self, release: Release, sources: tuple[SourceFile, ...]) -> Path:
        """Refuse what the model server can't load before anything is written."""
        self.switch.choose_files(release)
        return super().stage(release, sources)

    def verify(self, version: str) -> tuple[str, ...]:
        """What differs in the release, and in what the model server reads."""
        return self.store.verify(version) or self.switch.compare(self.store.read_release(version))


def _find_live(config: Any, name: str) -> str:
    """The version of a model that counts: that of the label, else the one that is loaded; empty where none is."""
    model = next((model for model in config.model_config_list.config if model.name == name), None)
    if model is None:
        return ""
    labelled = model.version_labels.get(LABEL, 0)
    return str(labelled or max(model.model_version_policy.specific.versions, default=0) or "")


def _ask_state(url: str, version: str) -> tuple[str, str]:
    """The state of a version, and what went wrong; no state where the server does not know it, or does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - settings are held to http and https
            told = json.load(answer)["model_version_status"]
            found = next(each for each in told if each["version"] == version)
            return str(found["state"]), str(found["status"].get("error_message", ""))
    except urllib.error.HTTPError as error:
        return "", f"the server answers {error.code}"
    except (OSError, ValueError, LookupError, TypeError, StopIteration) as error:
        return "", str(error) or "the answer tells no state of it"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes out for a moment; the system lets them in when this one dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _link(file: Path, place: Path) -> None:
    """The same file once more; a copy where the file system has no links. Both are held against the manifest."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, place)
        _finish(place)


def _finish(path: Path) -> None:
    """Have a file that was written on the disk, and let nobody change it."""
    with path.open("rb") as file:
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())


def _warm_up(release: Release, directory: Path, draft: Path) -> ReleaseFile | None:
    """Write golden requests as warm-up requests; None where the model brings its own, or nothing tells how to ask."""
    tensor = release.signature.inputs[0] if release.signature and len(release.signature.inputs) == 1 else None
    rows = _read_rows(directory / GOLDEN)[:_MOST_WARMUP]
    if tensor is None or tensor.datatype not in _TYPES or not rows or (draft / WARMUP).exists():
        return None
    (draft / WARMUP).parent.mkdir(exist_ok=True)
    _write_warm_up(draft / WARMUP, release.name, tensor, rows)
    written = next(file for file in list_files((draft / WARMUP).parent) if file.path == Path(WARMUP).name)
    return replace(written, path=WARMUP)


def _read_rows(path: Path) -> list[list[float]]:
    """The features of golden requests; none where the file is not there or holds something else."""
    try:
        return [row.features for row in msgspec.json.decode(path.read_bytes(), type=_Golden).rows]
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return []


class _GoldenRow(Struct):
    features: list[float]


class _Golden(Struct):
    rows: list[_GoldenRow]


def _write_warm_up(path: Path, name: str, tensor: TensorSpec, rows: list[list[float]]) -> None:
    """One record for each row: a PredictionLog with a request of that row alone."""
    try:
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError as error:
        raise _miss(error) from error
    with tf.io.TFRecordWriter(str(path)) as records:
        for row in rows:
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = name, "serving_default"
            request.inputs[tensor.name].CopyFrom(tf.make_tensor_proto([row], dtype=_TYPES[tensor.datatype]))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            records.write(log.SerializeToString(deterministic=True))
    _finish(path)


def _import_protobuf() -> Any:
    """TensorFlow Serving's own messages, and how protocol buffers are written as text."""
    from types import SimpleNamespace

    try:
        from google.protobuf import text_format
        from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig
    except ImportError as error:
        raise _miss(error) from error
    return SimpleNamespace(
        ModelServerConfig=ModelServerConfig,
        Parse=text_format.Parse,
        ParseError=text_format.ParseError,
        MessageToString=text_format.MessageToString,
    )


def _miss(error: ImportError) -> UsageError:
    return UsageError(
        f"{error.name} is not installed, and --target tensorflow-serving needs it",
        hint="pip install 'seatrial[tensorflow-serving]'; beside tensorflow-cpu, which that would install once more: "
        "pip install --no-deps tensorflow-serving-api",
    )
