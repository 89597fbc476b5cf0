"""`seatrial serve`: answer requests with whatever is live below a directory."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from seatrial.core.profile import PROFILE
from seatrial.core.release import Release, warn_of_pickles
from seatrial.core.routing import ROUTE, Route
from seatrial.deploy.local import CURRENT, LOG, LocalTarget, list_models
from seatrial.deploy.places import is_address
from seatrial.errors import ReleaseError, ServeError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from seatrial.serving.live import Catalog, LiveModels
    from seatrial.serving.prediction_log import PredictionLog

_GRACE_SECONDS = 10


class ServeSettings(Struct, frozen=True, kw_only=True):
    """How models are served.

    `max_body` is in bytes. `route_header` names the header that says who asks, for the shares of a canary.
    Predictions are logged to `log_path`, the part `log_share` of them, into files of `log_size` bytes in all.
    `environment` labels the deployments that `/metrics` counts. Drift is that of the last `drift_window` seconds.
    With `verify_key` (a file of public keys, or their text) only what is signed with one of them is loaded, and pickles
    that a release names only with `allow_pickles`. With `wait` nothing has to be live yet, and the server is not ready
    until something is. None is the default of `seatrial.serving`.
    """

    max_body: int | None = None
    route_header: str | None = None
    log_path: Path | None = None
    log_share: float = 1.0
    log_size: int | None = None
    environment: str = "local"
    drift_window: float | None = None
    verify_key: str = ""
    allow_pickles: bool = False
    wait: bool = False


class OpenedServer(Struct, frozen=True, kw_only=True):
    """An application that answers, a line for people about every model, and what is to be done at the end."""

    app: Starlette
    lines: tuple[str, ...]
    close: Callable[[], None]


_DEFAULTS = ServeSettings()


def serve(
    place: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    settings: ServeSettings = _DEFAULTS,
    announce: Callable[[str], None],
) -> None:
    """Serve the models at a place until SIGTERM or SIGINT; running requests get ten seconds.

    `place` is what `seatrial deploy --to` named, or the directory of one model in it. Port 0 takes any free port.
    `announce` gets the lines for people: the address, and every model with its digest. Raises ServeError
    where there is no model, one was altered or can't be loaded, or the port is taken.
    """
    opened = open_server(place, settings)
    import uvicorn

    try:
        for line in opened.lines:
            announce(line)
        with _listen(host, port) as listener:
            announce(f"serving on http://{_address(listener)}")
            gc.freeze()  # what is loaded stays: no collection has to look through it while requests wait
            config = uvicorn.Config(
                opened.app,
                log_level="warning",
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
            _end_quietly()
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        opened.close()


def open_server(place: str | Path, settings: ServeSettings = _DEFAULTS) -> OpenedServer:
    """Load every model at a place, and make the application that answers with them.

    Raises ServeError where a library, a model or the place of the log is missing, or a model was altered.
    """
    try:
        import uvicorn  # noqa: F401 - said missing here, before a model is loaded

        from seatrial.serving.drift import WINDOW
        from seatrial.serving.live import LiveModels
        from seatrial.serving.server import MAX_BODY, ROUTE_HEADER, ServerOptions, build_app
    except ImportError as error:
        raise ServeError(f"{error.name} is not installed", hint="pip install 'seatrial[serving]'") from error

    window = WINDOW if settings.drift_window is None else settings.drift_window
    if not window > 0:
        raise ServeError("--drift-window holds no request", hint="a day or more: 24h, 7d")
    with ExitStack() as opened:
        directory = _enter(str(place), opened)
        catalog = _open_catalog(directory, settings)
        models = LiveModels(catalog, drift_window=window)
        lines = _load_all(models, place, wait=settings.wait)
        options = ServerOptions(
            max_body=MAX_BODY if settings.max_body is None else settings.max_body,
            route_header=settings.route_header or ROUTE_HEADER,
            log=_open_log(settings, opened),
            count_deployments=lambda: _count_deployments(directory, catalog.list_names(), settings.environment),
        )
        app = build_app(models, options)
        return OpenedServer(app=app, lines=tuple(lines), close=opened.pop_all().close)


def _enter(place: str, opened: ExitStack) -> Path:
    """The directory that is served: the place itself, or one that follows an address for as long as it is open."""
    if not is_address(place):
        return Path(place)
    from seatrial.commands.mirroring import Mirror

    try:
        return opened.enter_context(closing(Mirror(place))).root
    except ReleaseError as error:
        raise ServeError(error.message, hint=error.hint) from error


def _open_log(settings: ServeSettings, opened: ExitStack) -> PredictionLog | None:
    from seatrial.serving.prediction_log import DEFAULT_SIZE, PredictionLog

    if settings.log_path is None:
        return None
    size = DEFAULT_SIZE if settings.log_size is None else settings.log_size
    return opened.enter_context(closing(PredictionLog(settings.log_path, share=settings.log_share, size=size)))


class _LocalStore:
    """The releases and the route of one model in a directory; `admit` raises ReleaseError for one it does not take."""

    def __init__(self, target: LocalTarget, admit: Callable[[Release, Path], None]) -> None:
        from seatrial.serving.routefile import RouteFile

        self._target = target
        self._admit = admit
        self._current = str(target.home / CURRENT)
        self._route = RouteFile(target.home / ROUTE)

    def pointer(self) -> str | None:
        try:  # what the target's own does, without the paths that it makes anew for every request
            return os.path.basename(os.readlink(self._current))  # noqa: PTH115, PTH119
        except OSError:
            return self._target.pointer()

    def route(self) -> Route:
        return self._route.read()

    def open_verified(self, version: str) -> tuple[Release, Path]:
        release, directory = self._target.open_verified(version)
        self._admit(release, directory)
        return release, directory


def _open_door(settings: ServeSettings) -> Callable[[Release, Path], None]:
    """What looks at a release before it is loaded: its signature, and whether loading it runs code."""
    from seatrial.commands.signing import open_keys

    keys = open_keys(settings.verify_key)

    def admit(release: Release, directory: Path) -> None:
        if keys is not None and not (check := keys.check(directory)).passed:
            raise ReleaseError(f"{directory} is not taken: {check.detail}", hint="deploy it with --sign-key")
        if release.pickles and not settings.allow_pickles:
            raise ReleaseError(
                f"{directory}: {warn_of_pickles(release.pickles)}, which --allow-pickles allows",
            )

    return admit


def _open_catalog(directory: Path, settings: ServeSettings) -> Catalog:
    from seatrial.serving.live import Catalog

    root, only = _split(directory)
    admit = _open_door(settings)
    return Catalog(
        list_names=(lambda: (only,)) if only else (lambda: list_models(root)),
        open_store=lambda name: _LocalStore(LocalTarget(root=root, name=name), admit),
    )


def _split(directory: Path) -> tuple[Path, str]:
    """The root, and the model's name where the directory is that of one model."""
    if (directory / CURRENT).is_symlink():
        return directory.resolve().parent, directory.resolve().name
    return directory, ""


class _LogLine(Struct, frozen=True):
    """What is counted of a line in the log of deployments."""

    event: str
    environment: str = ""


def _count_deployments(directory: Path, names: tuple[str, ...], environment: str) -> Mapping[tuple[str, str], int]:
    """How often each outcome stands in the logs of these models, by the environment of its line or this one.

    "promoting" is no outcome.
    """
    root, _ = _split(directory)
    counts: Counter[tuple[str, str]] = Counter()
    for name in names:
        with suppress(FileNotFoundError):
            for line in (root / name / LOG).read_bytes().splitlines():
                with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                    told = msgspec.json.decode(line, type=_LogLine)
                    counts[told.environment or environment, told.event] += told.event != "promoting"
    return +counts


def _load_all(models: LiveModels, place: str | Path, *, wait: bool) -> list[str]:
    """Load every model, so that a server that started can answer; one line about each version."""
    found = models.all()
    if not found and not wait:
        raise ServeError(
            f"{place} holds no live model",
            hint=f"run `seatrial deploy ARTIFACT --to {place}`; --wait starts before there is one",
        )
    lines = [] if found else [f"{place} holds no live model yet; not ready until it does"]
    for name, model in found.items():
        model.follow()
        if model.served is None:
            raise ServeError(f"{name}: {model.problem}")
        for served in model.arrangement.loaded.values():
            release, role = served.release, model.arrangement.find_role(served)
            told = "" if served is model.served else f", {role.value}"
            lines.append(f"{name} {release.version} ({release.format.value}{told}) {release.digest}")
            if served.drift is None:
                lines.append(f"{name} {release.version} brings no {PROFILE}: no drift of its inputs is measured")
        lines += [f"{name}: warning: {place}: {problem}" for place, problem in model.warnings.items()]
    return lines


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise ServeError(
            f"can't listen on {host}:{port}: {error}", hint="choose another --port; 0 takes any"
        ) from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _end_quietly() -> None:
    """Let SIGTERM and SIGINT end the server with success: uvicorn raises them again when it is done."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
