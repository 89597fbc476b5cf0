"""Objects in a bucket of S3, or of whatever speaks its protocol, by way of s3fs.

A write names the state that it replaces, and fails where that is not the state any more. Everything else that a target
promises in a bucket rests on this, so a store that does not keep to it is refused, never written to unsafely.

Credentials, region and endpoint are found as every tool for S3 finds them: AWS_ACCESS_KEY_ID, AWS_PROFILE,
AWS_ENDPOINT_URL, ~/.aws, the machine's role. fsspec's own configuration (FSSPEC_S3_…) can say more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from msgspec import Struct

from seatrial.deploy.packing import Content, read_content
from seatrial.errors import ReleaseError, UsageError

_T = TypeVar("_T")
_BLOCK = 8 << 20
_RACED = frozenset({409, 412})
_NOT_IMPLEMENTED = 501


class StoredObject(Struct, frozen=True, kw_only=True):
    """An object: its bytes, the tag of its state, and the seconds since it was written, by the store's own clock."""

    body: bytes
    tag: str
    age: float


class ListedObject(Struct, frozen=True, kw_only=True):
    """An object in a listing; `size` is in bytes."""

    key: str
    tag: str
    size: int


class Bucket:
    """The objects below an address such as `s3://bucket/prefix`; keys are seen from there.

    UsageError where the address names no bucket, or s3fs is not installed; ReleaseError where the store refuses.
    """

    def __init__(self, address: str) -> None:
        bucket, _, prefix = address.partition("://")[2].strip("/").partition("/")
        if not bucket:
            raise UsageError(f"{address}: names no bucket", hint="an address is s3://BUCKET or s3://BUCKET/PREFIX")
        self.address = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._files = _connect()

    def get(self, key: str) -> StoredObject | None:
        """An object, or None where there is none."""
        with self._explaining(key):
            try:
                return self._finish(self._get(key))
            except FileNotFoundError as error:
                if _get_code(error) == "NoSuchBucket":
                    raise
                return None

    async def _get(self, key: str) -> StoredObject:
        answer = await self._call("get_object", key)
        async with answer["Body"] as body:
            content = await body.read()
        told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        now = parsedate_to_datetime(told) if told else datetime.now(timezone.utc)
        return StoredObject(body=content, tag=answer["ETag"], age=(now - answer["LastModified"]).total_seconds())

    def put(self, key: str, body: bytes, *, replacing: str | None) -> str | None:
        """Write an object in place of the state with a tag, or of none; the new tag, None where it is another one."""
        condition = {"IfMatch": replacing} if replacing else {"IfNoneMatch": "*"}
        with self._explaining(key):
            try:
                return str(self._finish(self._call("put_object", key, Body=body, **condition))["ETag"])
            except OSError as error:
                if _get_status(error) in _RACED or (replacing and _get_code(error) == "NoSuchKey"):
                    return None
                if _get_status(error) == _NOT_IMPLEMENTED:
                    raise self.refuse() from error
                raise

    def refuse(self) -> ReleaseError:
        """The error for a store in which nothing can be relied on."""
        return ReleaseError(
            f"{self.address}: this store has no conditional writes (If-None-Match, If-Match)",
            hint="nothing can be deployed to it safely; S3 itself, MinIO, Ceph and SeaweedFS have them",
        )

    def upload(self, path: Path, key: str) -> None:
        """Write a file's bytes, whatever is there; in parts where they are many."""
        with self._explaining(key):
            self._finish(self._files._put_file(str(path), self._spell(key)), cut_off=True)

    def read(self, key: str, *, size: int, copy: BinaryIO | None = None) -> Content | None:
        """Hash an object of about that size, and write it to `copy` on the way; None where there is none.

        What is read is of one state from its beginning to its end.
        """
        if size <= _BLOCK:
            found = self.get(key)
            return read_content(BytesIO(found.body), copy) if found else None
        with self._explaining(key):
            try:
                stream = self._files.open(self._spell(key), "rb", block_size=_BLOCK, cache_type="readahead")
            except FileNotFoundError:
                return None
            with stream:
                return read_content(stream, copy)

    def list_objects(self, prefix: str) -> tuple[ListedObject, ...]:
        """All objects whose keys begin so, in the order of keys."""
        with self._explaining(prefix):
            return tuple(
                ListedObject(key=each["Key"][len(self._prefix) :], tag=each["ETag"], size=each["Size"])
                for page in self._finish(self._list(prefix))
                for each in page.get("Contents", ())
            )

    def list_folders(self) -> tuple[str, ...]:
        """What stands before the first `/` in the keys."""
        with self._explaining(""):
            return tuple(
                each["Prefix"][len(self._prefix) :].rstrip("/")
                for page in self._finish(self._list("", Delimiter="/"))
                for each in page.get("CommonPrefixes", ())
            )

    async def _list(self, prefix: str, **given: str) -> list[dict[str, Any]]:
        pages: list[dict[str, Any]] = []
        while not pages or pages[-1].get("IsTruncated"):
            more = {"ContinuationToken": pages[-1]["NextContinuationToken"]} if pages else {}
            asked = {"Bucket": self._bucket, "Prefix": self._prefix + prefix, **given, **more}
            pages.append(await self._files._call_s3("list_objects_v2", **asked))
        return pages

    def delete(self, key: str) -> None:
        """Take an object away; nothing is to be done where there is none."""
        with self._explaining(key):
            self._finish(self._call("delete_object", key))

    def _spell(self, key: str) -> str:
        return f"{self._bucket}/{self._prefix}{key}"

    def _call(self, method: str, key: str, **given: object) -> Coroutine[Any, Any, Any]:
        call = self._files._call_s3(method, Bucket=self._bucket, Key=self._prefix + key, **given)
        return cast("Coroutine[Any, Any, Any]", call)

    def _finish(self, work: Coroutine[Any, Any, _T], *, cut_off: bool = False) -> _T:
        """What a request is answered. Who is interrupted waits for that, or cuts the request off.

        A write that is under way must not come about after whoever was interrupted has undone it.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._files.loop)
        try:
            return future.result()
        except BaseException:
            if cut_off:
                future.cancel()
            wait((future,))
            raise

    @contextmanager
    def _explaining(self, key: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError

        where = f"{self.address}/{key}".rstrip("/")
        try:
            yield
        except (PermissionError, NoCredentialsError, PartialCredentialsError) as error:
            raise ReleaseError(
                f"{where}: access is refused: {error}",
                hint="check the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID …), that they are of this store "
                "(AWS_ENDPOINT_URL), and that they allow to get, put, delete and list objects",
            ) from error
        except FileNotFoundError as error:
            raise ReleaseError(
                f"{where}: {error}", hint=f"is there a bucket {self._bucket!r}? seatrial makes none"
            ) from error
        except (OSError, BotoCoreError, asyncio.TimeoutError) as error:
            raise ReleaseError(
                f"{where}: {error or type(error).__name__}",
                hint="try again when the store answers (AWS_ENDPOINT_URL says where it is); what was live is untouched",
            ) from error


def _connect() -> Any:
    try:
        from s3fs import S3FileSystem
    except ImportError as error:
        raise UsageError(f"{error.name} is not installed", hint="pip install 'seatrial[s3]'") from error
    return S3FileSystem(use_listings_cache=False, config_kwargs={"retries": {"mode": "standard"}})


def _get_answer(error: OSError) -> dict[str, Any]:
    """What the store answered when it refused; s3fs keeps it as the cause of its own error."""
    return cast("dict[str, Any]", getattr(error.__cause__, "response", None) or {})


def _get_code(error: OSError) -> str:
    return str(_get_answer(error).get("Error", {}).get("Code", ""))


def _get_status(error: OSError) -> int:
    return int(_get_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
