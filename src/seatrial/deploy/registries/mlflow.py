"""MLflow's model registry, by its REST API; GitLab's answers to it, too.

A registered model is a seatrial model, and one of its versions is one digest, found again by its tag `seatrial.digest`:
the same bytes in two environments are one version with two aliases. The alias of an environment names what is live
there. The source of a version is the address of the release; MLflow takes no path of this machine, so a directory is
written `seatrial:///srv/models/flights-delay/versions/3`.

GitLab's registry (`…/api/v4/projects/ID/ml/mlflow`) has semantic versions and no aliases of one's own: a version is
registered there as 0.0.N, and which one is live in an environment it can't say.

MLflow's own client would bring some sixty megabytes for five requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct

from seatrial import __version__
from seatrial.config.registries import explain_address
from seatrial.core.registry import Announcement, Mirrored, MlflowSettings
from seatrial.core.release import check_name
from seatrial.errors import ReleaseError, UsageError

if TYPE_CHECKING:
    import requests

URI = "MLFLOW_TRACKING_URI"
_USER, _PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
_GITLAB = re.compile(r"/api/v4/projects/[^/]+/ml/mlflow\Z")
_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_TIMES = (5.0, 20.0)  # seconds to connect, and between two bytes of an answer
_RETRIES = 2
_MOST_SAID = 300
_ABSENT = "RESOURCE_DOES_NOT_EXIST"
_INVALID = "INVALID_PARAMETER_VALUE"
_PRESENT = "RESOURCE_ALREADY_EXISTS"
T = TypeVar("T")
_Said = Mapping[str, Any]


class KeyValue(Struct, frozen=True, kw_only=True):
    """A tag of MLflow's."""

    key: str
    value: str = ""


class ModelVersion(Struct, frozen=True, kw_only=True):
    """A version as a server answers it; GitLab tells its semantic version as its alias."""

    version: str
    tags: tuple[KeyValue, ...] = ()
    aliases: tuple[str, ...] = ()

    def tells(self, digest: str) -> bool:
        """Whether this version is of these bytes."""
        return any(tag.key == "seatrial.digest" and tag.value == digest for tag in self.tags)


class _One(Struct, frozen=True, kw_only=True):
    model_version: ModelVersion


class _Several(Struct, frozen=True, kw_only=True):
    model_versions: tuple[ModelVersion, ...] = ()


class _Model(Struct, frozen=True, kw_only=True):
    latest_versions: tuple[ModelVersion, ...] = ()


class _Registered(Struct, frozen=True, kw_only=True):
    registered_model: _Model = _Model()


class _Complaint(Struct, frozen=True, kw_only=True):
    error_code: str = ""
    message: str | None = None


class RefusedError(ReleaseError):
    """The server answered no; `code` is MLflow's word for it."""

    def __init__(self, message: str, code: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class Server:
    """A server that speaks MLflow's REST API; every failure is a ReleaseError, and a redirect is one."""

    def __init__(self, session: requests.Session, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._session = session

    def ask(self, method: str, path: str, kind: type[T], said: _Said) -> T:
        """The answer to one request, as a value of a kind."""
        import requests

        asking = method == "GET"
        try:
            answer = self._session.request(
                method,
                f"{self.uri}/api/2.0/mlflow/{path}",
                params=said if asking else None,
                json=None if asking else said,
                timeout=_TIMES,
                allow_redirects=False,  # it would take the token along
            )
        except requests.RequestException as error:
            raise ReleaseError(f"the server does not answer: {type(error).__name__}", hint="is it running?") from None
        if not requests.codes.ok <= answer.status_code < requests.codes.multiple_choices:
            raise self._explain(path, answer)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ReleaseError(f"the answer to {path} is none of MLflow's: {error}") from None

    def ask_unless(self, codes: tuple[str, ...], method: str, path: str, kind: type[T], said: _Said) -> T | None:
        """The same; None where the server says no by one of these words of MLflow's."""
        try:
            return self.ask(method, path, kind, said)
        except RefusedError as error:
            if error.code not in codes:
                raise
            return None

    def _explain(self, path: str, answer: requests.Response) -> RefusedError:
        try:
            complaint = msgspec.json.decode(answer.content, type=_Complaint)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            complaint = _Complaint()
        words = " ".join((complaint.message or complaint.error_code or answer.reason or "").split())[:_MOST_SAID]
        hint = "is the token right, and may it write?" if answer.status_code in (401, 403) else ""
        message = f"{path} is answered with {answer.status_code}: {words}"
        return RefusedError(message, complaint.error_code, hint=hint)


class MlflowRegistry(Struct, frozen=True, kw_only=True):
    """The model registry of a server."""

    server: Server
    alias: str

    @property
    def title(self) -> str:
        """What and where it is."""
        return f"mlflow ({self.server.uri})"

    def mirror(self, live: Announcement) -> Mirrored:
        """Register the version that is live where it is not yet, and let the environment's alias name it."""
        name, digest = live.record.name, _check(live)
        said = {"name": name, "alias": self.alias}
        absent = (_ABSENT, _INVALID)  # there is no such model, or no such alias
        now = self.server.ask_unless(absent, "GET", "registered-models/alias", _One, said)
        if now and now.model_version.tells(digest):
            return Mirrored()
        changes, _ = _ensure_model(self.server, name)
        wanted = {"filter": f"name='{name}' and tags.`seatrial.digest`='{digest}'"}
        found = self.server.ask("GET", "model-versions/search", _Several, wanted).model_versions
        version = max((each.version for each in found), key=_rank, default="")
        if not version:
            version = _create(self.server, live, {}).version
            changes = (*changes, f"new version {version}")
        said = {"name": name, "alias": self.alias, "version": version}
        self.server.ask("POST", "registered-models/alias", dict[str, Any], said)
        return Mirrored(changes=(*changes, f"alias {self.alias} is version {version}"))


class GitLabRegistry(Struct, frozen=True, kw_only=True):
    """GitLab's model registry; asked for a model, it tells all of its versions."""

    server: Server

    @property
    def title(self) -> str:
        """What and where it is."""
        return f"mlflow ({self.server.uri})"

    def mirror(self, live: Announcement) -> Mirrored:
        """Register the version that is live where it is not yet."""
        name, digest = live.record.name, _check(live)
        changes, versions = _ensure_model(self.server, name)
        if not any(version.tells(digest) for version in versions):
            number = _raise_patch(alias for version in versions for alias in version.aliases)
            _create(self.server, live, {"gitlab.version": number})
            changes = (*changes, f"new version {number}")
        return Mirrored(changes=changes, notes=("GitLab has no aliases: it can't say which version is live",))


def connect(settings: MlflowSettings, environ: Mapping[str, str]) -> MlflowRegistry | GitLabRegistry:
    """The registry of the server that the settings or the variables name; UsageError where none is, or it is none."""
    try:
        import requests
    except ImportError as error:
        raise UsageError("requests is not installed", hint="pip install 'seatrial[registries]'") from error
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    uri = settings.uri or environ.get(URI, "").strip()
    if not uri:
        raise UsageError("no address is named", hint=f"`mlflow: {{uri: https://…}}`, or the variable {URI}")
    if problem := explain_address(uri):
        raise UsageError(f"the address {problem}", hint=f"see `uri:` in seatrial.yaml, or {URI}")
    session = requests.Session()
    session.headers["User-Agent"] = f"seatrial/{__version__}"
    session.auth = _read_auth(environ, settings.token_env)
    retry = Retry(
        total=_RETRIES,
        backoff_factor=0.5,
        status_forcelist=(429, 502, 503, 504),
        allowed_methods=None,  # a version that is made twice is found by its digest, and the later one is taken
        raise_on_status=False,
        respect_retry_after_header=False,  # it may name hours
    )
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    server = Server(session, uri)
    if _GITLAB.search(server.uri):
        return GitLabRegistry(server=server)
    return MlflowRegistry(server=server, alias=settings.alias)


def _read_auth(environ: Mapping[str, str], token_env: str) -> Callable[..., Any] | None:
    """Who asks, by MLflow's own variables: a user with a password, else whoever has the token."""
    from requests.auth import HTTPBasicAuth

    user, password = environ.get(_USER, ""), environ.get(_PASSWORD, "")
    if user and password:
        return HTTPBasicAuth(user.encode(), password.encode())
    token = environ.get(token_env, "").strip()
    if not token.isascii() or not token.isprintable():
        raise UsageError(f"{token_env} holds no token: it has signs that no token has", hint="set the variable anew")

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return sign if token else None


def _check(live: Announcement) -> str:
    """The digest of what is live, which is looked for by it."""
    check_name(live.record.name)
    if not _DIGEST.match(live.record.digest):
        raise ReleaseError(f"the deployment log names no digest of {live.record.name} {live.record.version}")
    return live.record.digest


def _ensure_model(server: Server, name: str) -> tuple[tuple[str, ...], tuple[ModelVersion, ...]]:
    """Register the model where there is none by its name; what was done, and the versions that are told with it."""
    said = {"name": name}
    if found := server.ask_unless((_ABSENT,), "GET", "registered-models/get", _Registered, said):
        return (), found.registered_model.latest_versions
    # That it is there already is what another job did; GitLab says the same of a name that it does not take.
    server.ask_unless((_PRESENT,), "POST", "registered-models/create", _Registered, said)
    found = server.ask_unless((_ABSENT,), "GET", "registered-models/get", _Registered, said)
    if found is None:
        raise ReleaseError(f"it takes no model named {name!r}", hint="is there an experiment of this name?")
    return ("new model",), found.registered_model.latest_versions


def _create(server: Server, live: Announcement, tags: Mapping[str, str]) -> ModelVersion:
    """A new version, with what is known of it as its tags."""
    facts = {**{f"seatrial.{key}": value for key, value in live.list_facts()}, "seatrial.version": __version__, **tags}
    said = {
        "name": live.record.name,
        "source": live.source,
        "tags": [{"key": key, "value": value} for key, value in facts.items()],
    }
    return server.ask("POST", "model-versions/create", _One, said).model_version


def _rank(version: str) -> int:
    return int(version) if version.isdecimal() else -1


def _raise_patch(versions: Iterable[str]) -> str:
    """The version after the greatest one.

    >>> _raise_patch(["0.0.9", "0.0.10"]), _raise_patch([])
    ('0.0.11', '0.0.1')
    """
    numbers = [match.groups() for match in map(_NUMBERS.match, versions) if match]
    major, minor, patch = max(((int(a), int(b), int(c)) for a, b, c in numbers), default=(0, 0, 0))
    return f"{major}.{minor}.{patch + 1}"
