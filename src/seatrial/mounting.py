"""The model server inside of another application: one piece of middleware for ASGI, and the same for WSGI.

    FastAPI, Starlette   app.add_middleware(ModelMiddleware, root="/srv/models")
    Django               application = ModelMiddleware(get_asgi_application(), root="/srv/models")
    Flask                app.wsgi_app = WsgiModelMiddleware(app.wsgi_app, root="/srv/models")

What lies below the prefix is answered as `seatrial serve` answers it: /models/v2/health/ready, /models/metrics, …
The application's own addresses stay as they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.commands.serve import ServeSettings, open_server
from seatrial.errors import ServeError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Message = MutableMapping[str, Any]
AsgiApp = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

_PREFIX = "/models"
_DEFAULTS = ServeSettings()


class ModelMiddleware:
    """An ASGI application that answers below `prefix` with the models below `root`, and lets `app` answer the rest.

    `settings` are those of `seatrial serve`; `close` ends the log of predictions, if there is one. Raises ServeError
    where there is no live model, or one was altered or can't be loaded.
    """

    def __init__(
        self, app: AsgiApp, *, root: str | Path, prefix: str = _PREFIX, settings: ServeSettings = _DEFAULTS
    ) -> None:
        from starlette.routing import Mount

        opened = open_server(root, settings)
        self.close = opened.close
        self._app = app
        self._mount = Mount(prefix, opened.app)

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer a request, or hand it on."""
        from starlette.routing import Match

        if scope["type"] == "http":
            match, found = self._mount.matches(scope)
            if match is Match.FULL:
                await self._mount.handle({**scope, **found}, receive, send)
                return
        await self._app(scope, receive, send)


class WsgiModelMiddleware:
    """The same for WSGI; needs a2wsgi.

    The models answer on an event loop in a thread of its own, which all requests share.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        root: str | Path,
        prefix: str = _PREFIX,
        settings: ServeSettings = _DEFAULTS,
    ) -> None:
        try:
            from a2wsgi import ASGIMiddleware
        except ImportError as error:
            raise ServeError("a2wsgi is not installed", hint="pip install 'seatrial[serving]'") from error
        opened = open_server(root, settings)
        self.close = opened.close
        self._app = app
        self._prefix = "/" + prefix.strip("/")
        app_below: Any = opened.app
        self._models: Any = ASGIMiddleware(app_below)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or hand it on."""
        path = environ.get("PATH_INFO", "")
        if not path.startswith(f"{self._prefix}/"):
            return self._app(environ, start_response)
        inner = dict(environ)
        inner["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self._prefix
        inner["PATH_INFO"] = path[len(self._prefix) :]
        answer: Iterable[bytes] = self._models(inner, start_response)
        return answer
