"""A small Hugging Face Hub: model repositories with branches, tags and large files, behind the Hub's HTTP API.

The contract is the Hub's published description of its API (huggingface.co/.well-known/openapi.json) where it says
something (the lines of a commit, trees, tags, refs), Git LFS's batch API for large files, and what the official client,
`huggingface_hub`, sends and reads. It knows no Xet: clients set HF_HUB_DISABLE_XET=1. It refuses what the Hub refuses:

- without a token, or with an unknown one: 401; with one that may only read: 403; no such repository: 404
- a `parentCommit` that is not the branch's head: 412
- a commit that names a large file whose bytes were not uploaded, or in another size: 400; bytes that are not what
  their name says: 400; a file that belongs among the large ones as a small one: 400; a file to delete that is not
  there: 404; paths that lead out; model cards whose front matter is no YAML
- a tag that is there: 409

Files named by `.gitignore` are told to the client, which leaves them out, as the Hub does.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any
from urllib.parse import unquote

import yaml

from tests.fakes.server import Answer, RefusedError, Request, Route, Server, as_json

WRITER, READER = "hf_writer_of_the_stand_in", "hf_reader_of_the_stand_in"
LARGE = 10 << 20
_REPO = r"/api/models/([^/]+/[^/]+)"
_ATTRIBUTES = "*.onnx filter=lfs diff=lfs merge=lfs -text\n*.txt filter=lfs diff=lfs merge=lfs -text\n"
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of a commit: its bytes, and whether they are kept as a large file."""

    content: bytes
    large: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        return _POINTER.format(self.sha256, len(self.content)).encode()

    @property
    def oid(self) -> str:
        """Git's name of the blob."""
        return hash_blob(self.pointer if self.large else self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit and all of its files."""

    title: str
    description: str
    parent: str
    files: dict[str, Entry]

    @property
    def oid(self) -> str:
        tree = sorted((path, entry.oid) for path, entry in self.files.items())
        told = json.dumps([self.title, self.description, self.parent, tree])
        return hashlib.sha1(told.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True, kw_only=True)
class Repository:
    """A model repository."""

    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, tuple[str, str]] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)

    def add(self, branch: str, commit: Commit) -> None:
        """Let a branch end with a commit."""
        self.commits[commit.oid] = commit
        self.branches[branch] = commit.oid

    def find(self, revision: str) -> Commit:
        """The commit that a branch, a tag or an id names."""
        tagged = self.tags[revision][0] if revision in self.tags else revision
        found = self.commits.get(self.branches.get(revision, tagged))
        if found is None:
            raise RefusedError(404, f"Invalid rev id: {revision}", code="RevisionNotFound")
        return found


def hash_blob(content: bytes) -> str:
    """The name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class HubStandIn(Server):
    """The Hub; `page` is how many entries of a tree come at once."""

    def __init__(self, *, page: int = 1000) -> None:
        super().__init__()
        self.repositories: dict[str, Repository] = {}
        self.page = page
        self._signatures: dict[str, tuple[str, str]] = {}

    def create(self, name: str) -> None:
        """Make a repository, with the commit that the Hub makes."""
        self.repositories[name] = Repository()
        first = {".gitattributes": Entry(content=_ATTRIBUTES.encode(), large=False)}
        self.repositories[name].add("main", Commit(title="initial commit", description="", parent="", files=first))

    def routes(self) -> tuple[Route, ...]:
        return (
            ("GET", rf"{_REPO}/refs", self._refs),
            ("GET", rf"{_REPO}/tree/([^/]+)", self._tree),
            ("GET", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self._resolve),
            ("POST", rf"{_REPO}/preupload/([^/]+)", self._preupload),
            ("POST", rf"{_REPO}/commit/([^/]+)", self._commit),
            ("POST", rf"{_REPO}/tag/([^/]+)", self._tag),
            ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", self._batch),
            ("PUT", r"/large/(\w+)", self._upload),
            ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/verify", self._verify),
            ("POST", r"/api/validate-yaml", self._validate),
            ("POST", r"/api/repos/create", self._create),
        )

    def refuse(self, refusal: RefusedError) -> Answer:
        headers = {"X-Error-Message": refusal.message.splitlines()[0]}
        if code := refusal.details.get("code"):
            headers["X-Error-Code"] = code
        body = {"error": refusal.message, **refusal.details.get("body", {})}
        return as_json(body, status=refusal.status, headers=headers)

    # Who asks.

    def _see(self, request: Request, name: str) -> Repository:
        """A repository that everybody may read."""
        given = request.headers.get("Authorization", "")
        if given and given not in (f"Bearer {WRITER}", f"Bearer {READER}"):
            raise RefusedError(401, "Invalid credentials in Authorization header")
        if name not in self.repositories:
            raise RefusedError(404 if given else 401, "Repository not found", code="RepoNotFound")
        return self.repositories[name]

    def _demand_writer(self, request: Request) -> None:
        given = request.headers.get("Authorization", "")
        if given == f"Bearer {READER}":
            raise RefusedError(403, "You don't have the required permissions to perform this action")
        if given != f"Bearer {WRITER}":
            raise RefusedError(401, "Invalid username or password.")

    def _change(self, request: Request, name: str) -> Repository:
        """A repository for who may write."""
        repository = self._see(request, name)
        self._demand_writer(request)
        return repository

    # What is there.

    def _refs(self, request: Request, name: str) -> Answer:
        found = self._see(request, name)
        branches = [
            {"name": each, "ref": f"refs/heads/{each}", "targetCommit": at} for each, at in found.branches.items()
        ]
        tags = [{"name": each, "ref": f"refs/tags/{each}", "targetCommit": at} for each, (at, _) in found.tags.items()]
        return as_json({"branches": branches, "tags": tags, "converts": []})

    def _tree(self, request: Request, name: str, revision: str) -> Answer:
        files = self._see(request, name).find(unquote(revision)).files
        if request.query.get("recursive", "").lower() != "true":
            raise RefusedError(400, "this stand-in lists whole trees only")
        folders = {path.rpartition("/")[0] for path in files if "/" in path}
        listed: list[dict[str, Any]] = [
            {"type": "directory", "path": path, "oid": hash_blob(path.encode()), "size": 0} for path in folders
        ]
        listed += [_describe(path, entry) for path, entry in files.items()]
        listed.sort(key=lambda each: each["path"])
        start = int(request.query.get("cursor", "0"))
        headers = {}
        if start + self.page < len(listed):
            following = f"{self.web_url}{request.path}?recursive=True&cursor={start + self.page}"
            headers["Link"] = f'<{following}>; rel="next"'
        return as_json(listed[start : start + self.page], headers=headers)

    def _resolve(self, request: Request, name: str, revision: str, path: str) -> Answer:
        entry = self._see(request, name).find(unquote(revision)).files.get(unquote(path))
        if entry is None:
            raise RefusedError(404, "Entry not found", code="EntryNotFound")
        return Answer(content=entry.content, content_type="text/plain")

    # Large files.

    def _preupload(self, request: Request, name: str, revision: str) -> Answer:
        files = self._change(request, name).find(unquote(revision)).files
        asked = request.json()["files"]
        return as_json({"files": [{**_judge(files, each["path"], each["size"])} for each in asked]})

    def _batch(self, request: Request, name: str) -> Answer:
        repository, asked = self._change(request, name), request.json()
        if asked["operation"] != "upload" or asked["hash_algo"] != "sha256" or "basic" not in asked["transfers"]:
            raise RefusedError(422, "unknown operation")
        return as_json(
            {"transfer": "basic", "objects": [self._sign(name, repository, each) for each in asked["objects"]]}
        )

    def _sign(self, name: str, repository: Repository, asked: dict[str, Any]) -> dict[str, Any]:
        if not re.fullmatch(r"[0-9a-f]{64}", asked["oid"]):
            return {**asked, "error": {"code": 422, "message": "invalid oid"}}
        if asked["oid"] in repository.large:
            return asked
        signature = hashlib.sha256(f"{name} {asked['oid']}".encode()).hexdigest()
        self._signatures[signature] = (name, asked["oid"])
        verify = f"{self.web_url}/{name}.git/info/lfs/verify"
        return {
            **asked,
            "actions": {"upload": {"href": f"{self.web_url}/large/{signature}"}, "verify": {"href": verify}},
        }

    def _upload(self, request: Request, signature: str) -> Answer:
        if signature not in self._signatures:
            raise RefusedError(403, "Request has expired")
        name, oid = self._signatures[signature]
        if hashlib.sha256(request.body).hexdigest() != oid:
            raise RefusedError(400, "The SHA-256 that was signed does not match the content")
        self.repositories[name].large[oid] = request.body
        return Answer()

    def _verify(self, request: Request, name: str) -> Answer:
        asked = request.json()
        if len(self._change(request, name).large.get(asked["oid"], b"")) != asked["size"]:
            raise RefusedError(404, "Object not found")
        return as_json({})

    # Changes.

    def _create(self, request: Request) -> Answer:
        self._demand_writer(request)
        asked = request.json()
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.repositories:
            raise RefusedError(409, "You already created this model repo")
        self.create(name)
        return as_json({"url": f"{self.web_url}/{name}", "name": name, "id": name})

    def _commit(self, request: Request, name: str, branch: str) -> Answer:
        repository, branch = self._change(request, name), unquote(branch)
        if branch not in repository.branches:
            raise RefusedError(404, f"Invalid rev id: {branch}", code="RevisionNotFound")
        header, *lines = _read_lines(request)
        head = repository.find(branch)
        if header.get("parentCommit") not in (None, head.oid):
            raise RefusedError(412, "A commit has happened since. Please refresh and try again.")
        if not lines:
            raise RefusedError(400, "No files to commit")
        files = dict(head.files)
        for line in lines:
            _apply(repository, files, line["key"], line["value"])
        _check_card(files)
        made = Commit(title=header["summary"], description=header["description"], parent=head.oid, files=files)
        repository.add(branch, made)
        address = f"{self.web_url}/{name}/commit/{made.oid}"
        return as_json({"success": True, "commitOid": made.oid, "commitUrl": address, "hookOutput": ""})

    def _tag(self, request: Request, name: str, revision: str) -> Answer:
        repository, asked = self._change(request, name), request.json()
        if asked["tag"] in repository.tags:
            raise RefusedError(409, f"Tag {asked['tag']} already exists")
        repository.tags[asked["tag"]] = (repository.find(unquote(revision)).oid, asked.get("message", ""))
        return as_json({})

    def _validate(self, request: Request) -> Answer:
        asked = request.json()
        _check_front_matter(asked["content"])
        return as_json({"errors": [], "warnings": []})


def _read_lines(request: Request) -> list[dict[str, Any]]:
    """The lines of a commit, its header first and as what it says alone."""
    if request.headers.get("Content-Type") != "application/x-ndjson":
        raise RefusedError(400, "application/x-ndjson is what this stand-in reads")
    try:
        first, *lines = [json.loads(line) for line in request.body.splitlines()]
    except ValueError:
        raise RefusedError(400, "not JSON by lines") from None
    header, parent = first.get("value", {}), first.get("value", {}).get("parentCommit")
    if first.get("key") != "header" or not header.get("summary"):
        raise RefusedError(400, "the first line is the header, with a summary")
    if parent is not None and not re.fullmatch(r"[0-9a-f]{40}", parent):
        raise RefusedError(400, "parentCommit: not a commit")
    return [header, *lines]


def _apply(repository: Repository, files: dict[str, Entry], key: str, value: dict[str, Any]) -> None:
    """Carry out one line of a commit."""
    path = value["path"]
    if path.startswith("/") or not {"", ".", "..", ".git"}.isdisjoint(path.split("/")):
        raise RefusedError(400, f"invalid path: {path}")
    if key == "deletedFile":
        if path not in files:
            raise RefusedError(404, "A file with this name doesn't exist", code="EntryNotFound")
        del files[path]
    elif key == "file":
        files[path] = _accept_small(files, path, value)
    elif key == "lfsFile":
        content = repository.large.get(value["oid"])
        if value["algo"] != "sha256" or content is None or len(content) != value.get("size", len(content)):
            raise RefusedError(400, f"LFS pointer points to a file that does not exist: {path}")
        files[path] = Entry(content=content, large=True)
    else:
        raise RefusedError(400, f"unknown key {key}")


def _accept_small(files: dict[str, Entry], path: str, value: dict[str, Any]) -> Entry:
    if value.get("encoding") != "base64":
        raise RefusedError(400, f"{path}: base64 is what this stand-in reads")
    try:
        content = b64decode(value["content"], validate=True)
    except Base64Error:
        raise RefusedError(400, f"{path}: not base64") from None
    if content and _is_large(files, path, len(content)):
        raise RefusedError(400, f"Your push was rejected: {path} belongs to LFS")
    return Entry(content=content, large=False)


def _is_large(files: dict[str, Entry], path: str, size: int) -> bool:
    attributes = files[".gitattributes"].content.decode() if ".gitattributes" in files else ""
    patterns = [line.split()[0] for line in attributes.splitlines() if "filter=lfs" in line]
    return size > LARGE or any(fnmatch(path.rpartition("/")[2], pattern) for pattern in patterns)


def _judge(files: dict[str, Entry], path: str, size: int) -> dict[str, Any]:
    """How a file is to be sent, whether it is left out, and what is there already."""
    ignored = files[".gitignore"].content.decode().split() if ".gitignore" in files else []
    judged = {
        "path": path,
        "uploadMode": "lfs" if _is_large(files, path, size) else "regular",
        "shouldIgnore": any(fnmatch(path, pattern) for pattern in ignored),
    }
    there = files.get(path)
    return judged if there is None else {**judged, "oid": there.sha256 if there.large else there.oid}


def _describe(path: str, entry: Entry) -> dict[str, Any]:
    described = {"type": "file", "path": path, "oid": entry.oid, "size": len(entry.content)}
    if entry.large:
        lfs = {"oid": entry.sha256, "size": len(entry.content), "pointerSize": len(entry.pointer)}
        return {**described, "lfs": lfs}
    return described


def _check_card(files: dict[str, Entry]) -> None:
    if "README.md" in files:
        _check_front_matter(files["README.md"].content.decode())


def _check_front_matter(card: str) -> None:
    """What stands between the first lines of dashes is a YAML object."""
    found = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    try:
        facts = yaml.safe_load(found[1]) if found else {}
    except yaml.YAMLError:
        facts = None
    if not isinstance(facts, dict):
        errors = [{"message": "the front matter is no YAML object"}]
        raise RefusedError(400, "Invalid metadata in README.md", body={"errors": errors})
