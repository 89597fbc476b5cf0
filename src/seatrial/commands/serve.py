"""`seatrial serve`: answer requests with whatever is live below a directory."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.deploy.local import CURRENT, LocalTarget, list_models
from seatrial.errors import ServeError

if TYPE_CHECKING:
    from seatrial.serving.live import Catalog, LiveModels

_GRACE_SECONDS = 10


def serve(
    directory: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    max_body: int | None = None,
    announce: Callable[[str], None],
) -> None:
    """Serve the models below a directory until SIGTERM or SIGINT; running requests get ten seconds.

    `directory` is what `seatrial deploy --to` named, or one model in it. Port 0 takes any free port.
    `announce` gets the lines for people: the address, and every model with its digest. Raises ServeError
    where there is no model, one was altered or can't be loaded, or the port is taken.
    """
    try:
        import uvicorn

        from seatrial.serving.live import LiveModels
        from seatrial.serving.server import MAX_BODY, build_app
    except ImportError as error:
        raise ServeError(f"{error.name} is not installed", hint="pip install 'seatrial[serving]'") from error

    models = LiveModels(_open_catalog(directory))
    for line in _load_all(models, directory):
        announce(line)
    app = build_app(models, max_body=MAX_BODY if max_body is None else max_body)
    with _listen(host, port) as listener:
        announce(f"serving on http://{_address(listener)}")
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=_GRACE_SECONDS
        )
        _end_quietly()
        uvicorn.Server(config).run(sockets=[listener])


def _open_catalog(directory: Path) -> Catalog:
    from seatrial.serving.live import Catalog

    if (directory / CURRENT).is_symlink():
        root, only = directory.resolve().parent, directory.resolve().name
        return Catalog(list_names=lambda: (only,), open_store=lambda name: LocalTarget(root=root, name=name))
    return Catalog(
        list_names=lambda: list_models(directory), open_store=lambda name: LocalTarget(root=directory, name=name)
    )


def _load_all(models: LiveModels, directory: Path) -> list[str]:
    """Load every model, so that a server that started can answer; one line about each."""
    found = models.all()
    if not found:
        raise ServeError(f"{directory} holds no live model", hint=f"run `seatrial deploy ARTIFACT --to {directory}`")
    lines = []
    for name, model in found.items():
        model.follow()
        if model.served is None:
            raise ServeError(f"{name}: {model.problem}")
        release = model.served.release
        lines.append(f"{name} {release.version} ({release.format.value}) {release.digest}")
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
