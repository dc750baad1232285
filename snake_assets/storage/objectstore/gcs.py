"""Folders and objects of Google Cloud Storage, by the verbs that `pathlib.Path` has and a few more.

Credentials come from the environment alone (Application Default Credentials), by way of the client that is
handed down, which also tries again what passes. No message here repeats what an error of the network says: it
may name a session of an upload, which whoever knows it may write to.
"""

import errno
import io
import mimetypes
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import bytes_digest
from snake_assets.storage.local_files import CountedFile

if TYPE_CHECKING:
    from google.cloud import storage

SCHEME = "gs://"
GET, LIST, CREATE, DELETE = (f"storage.objects.{verb}" for verb in ("get", "list", "create", "delete"))
# The digest of an object's bytes, and a mark of the upload, kept with it by whoever wrote it.
SHA256, WRITTEN_BY = "sha256", "written"
NOTHING = 0
IN_MEMORY = 8 << 20
# The client sends more than 8 MiB in pieces; one that fails is sent again.
PIECE = 16 << 20


class Overtaken(Exception):
    """The object is another than the one that was to be replaced: somebody else was quicker."""


@dataclass(frozen=True)
class Patience:
    """Seconds: for a connection, for a silent one, for all attempts, and before the second one at most."""

    connection: float = 10
    silence: float = 60
    altogether: float = 300
    first_pause: float = 1


@dataclass(frozen=True)
class Bucket:
    """A bucket by its name; `connect` gives the client, which it keeps, and is known in other processes."""

    name: str
    connect: Callable[[], "storage.Client"]
    patience: Patience = Patience()

    def persistence(self) -> dict[str, Any]:
        """`timeout` and `retry` for a call of the client; the latter only for what may be done twice."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        wait = self.patience
        retry = DEFAULT_RETRY.with_delay(initial=wait.first_pause, maximum=60 * wait.first_pause)
        return {"timeout": (wait.connection, wait.silence), "retry": retry.with_timeout(wait.altogether)}


@dataclass(frozen=True)
class Stored:
    """What is known of a file without reading it; of one on a disk, only its size in bytes."""

    size: int
    generation: int = NOTHING  # another for whatever is written
    crc32c: str = ""  # in base 64
    sha256: str | None = None  # as its writer noted it
    mark: str | None = None  # of its upload
    # Of one object that was looked at; of 180,000 that are listed they would fill the memory.
    blob: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class BucketPath:
    """A folder or an object of a bucket; `key` is its name there, without slashes at its ends.

    All that asks the bucket raises FileNotFoundError where there is no such object, `Overtaken` where a
    generation is not the expected one, and StorageError where there is no bucket, right, credential or good
    answer.
    """

    bucket: Bucket
    key: str

    def __truediv__(self, name: str) -> "BucketPath":
        """What has that name in this folder."""
        return BucketPath(self.bucket, f"{self.key}/{name}".strip("/"))

    def __str__(self) -> str:
        """The URL."""
        return f"{SCHEME}{self.bucket.name}/{self.key}"

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def parent(self) -> "BucketPath":
        """The folder that it is in."""
        return BucketPath(self.bucket, self.key.rpartition("/")[0])

    def read_bytes(self) -> bytes:
        """The whole object, held against the bucket's checksum."""
        with self.asking(GET) as found:
            content: bytes = found.blob(self.key).download_as_bytes(
                raw_download=True, checksum="crc32c", **self.bucket.persistence()
            )
            return content

    def read_text(self, encoding: str = "utf-8") -> str:
        """The whole object as text."""
        return self.read_bytes().decode(encoding)

    def stored(self) -> Stored:
        """What the bucket says of the object."""
        with self.asking(GET) as found:
            blob = found.blob(self.key)
            blob.reload(**self.bucket.persistence())
            return _stored(blob, blob)

    def generation(self) -> int:
        """The object's generation, NOTHING where there is none."""
        try:
            return self.stored().generation
        except FileNotFoundError:
            return NOTHING

    def listed(self, deep: bool = False) -> dict[str, Stored]:
        """The objects of a folder by name; by path, those of the folders in it too, if it goes `deep`."""
        prefix = f"{self.key}/" if self.key else ""
        delimiter = None if deep else "/"
        with self.asking(LIST) as found:
            blobs = found.list_blobs(prefix=prefix, delimiter=delimiter, **self.bucket.persistence())
            return {blob.name.removeprefix(prefix): _stored(blob) for blob in blobs}

    def open(self, stored: Stored) -> IO[bytes]:
        """One generation of the object as a file; each reading fetches what it wants, and one byte more.

        Readings raise what the client raises: do them in `asking`. Measured on the loopback emulator with a
        shard of 51 MB: one column of numbers takes 74 kB in 10 requests, as by ranges of our own; with the
        client's default chunk of 40 MiB it takes 48 MB in 4.
        """
        with self.asking(GET) as found:
            blob = stored.blob or found.blob(self.key, generation=stored.generation)
            file: IO[bytes] = blob.open("rb", chunk_size=1, raw_download=True, **self.bucket.persistence())
            return file

    def put(self, content: IO[bytes], size: int, sha256: str, instead_of: int | None) -> int:
        """Write an object, whole or not at all; returns its generation.

        Args:
            content: its bytes, from the start.
            size: how many.
            sha256: their digest, noted with the object.
            instead_of: the generation to replace, NOTHING where there is to be none, None for any.
        """
        token = uuid.uuid4().hex
        try:
            with self.asking(CREATE) as found:
                blob = found.blob(self.key, chunk_size=PIECE)
                blob.metadata = {SHA256: sha256, WRITTEN_BY: token}
                content.seek(0)
                given = {"size": size, "content_type": self._content_type, "checksum": "crc32c"}
                given |= {"if_generation_match": instead_of, **self.bucket.persistence()}
                blob.upload_from_file(content, **given)
                return int(blob.generation)
        except Overtaken:
            # An attempt whose answer was lost may have been the one that it was overtaken by. The digest
            # would not tell: two who took over the same shards write the same manifest.
            with suppress(FileNotFoundError):
                if (there := self.stored()).mark == token:
                    return there.generation
            raise

    def put_bytes(self, data: bytes, instead_of: int | None = None) -> int:
        """As `put`."""
        return self.put(io.BytesIO(data), len(data), bytes_digest(data), instead_of)

    def copy_of(self, source: "BucketPath", instead_of: int) -> None:
        """Become a copy of another object, which the bucket makes by itself; `instead_of` as for `put`."""
        with self.asking(GET) as found:
            blob, given = found.blob(self.key), {"if_generation_match": instead_of}
            blob.content_type = self._content_type
            token, *_ = blob.rewrite(found.blob(source.key), **given, **self.bucket.persistence())
            while token is not None:
                given = {"if_generation_match": instead_of, "token": token}
                token, *_ = blob.rewrite(found.blob(source.key), **given, **self.bucket.persistence())

    def remove(self, generation: int) -> None:
        """Remove one generation of the object; if it is gone, or another, nothing is done."""
        with suppress(FileNotFoundError, Overtaken), self.asking(DELETE) as found:
            found.blob(self.key).delete(if_generation_match=generation, **self.bucket.persistence())

    @contextmanager
    def asking(self, right: str) -> Iterator["storage.Bucket"]:
        """The client's bucket, whose errors are explained; `right` is what is needed."""
        from google.api_core.exceptions import NotFound, PreconditionFailed
        from google.auth.exceptions import GoogleAuthError, TransportError

        try:
            yield self.bucket.connect().bucket(self.bucket.name)
        except PreconditionFailed:
            raise Overtaken(str(self)) from None
        except NotFound as error:
            # All are a 404; only the text tells them apart.
            if "bucket does not exist" in str(error):
                raise StorageError(
                    f"{self}: the bucket {self.bucket.name!r} does not exist. Create it, or mend its name."
                ) from None
            if right in (GET, DELETE):
                raise FileNotFoundError(errno.ENOENT, "no such object", str(self)) from None
            # The session of an upload in pieces was lost: the step is tried again.
            raise self._unanswered("status 404") from ConnectionError("status 404")
        except TransportError as error:
            raise self._unanswered(type(error).__name__) from ConnectionError(type(error).__name__)
        except GoogleAuthError as error:
            raise StorageError(
                f"{self}: there are no credentials for Google Cloud, or they are refused "
                f"({type(error).__name__}). Run `gcloud auth application-default login`, or set "
                "GOOGLE_APPLICATION_CREDENTIALS to the file of a service account."
            ) from None
        except Exception as error:
            if explained := self._explained(error, right):
                raise explained from explained.__cause__
            raise

    def _explained(self, error: Exception, right: str) -> StorageError | None:
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
        from requests import RequestException

        if tried := isinstance(error, RetryError):
            error = error.cause or error
        code = error.code if isinstance(error, GoogleAPICallError) else None
        if isinstance(error, InvalidResponse):
            code = error.response.status_code
        if code in (401, 403):
            named = re.search(r"storage\.\w+\.\w+", str(error))  # replacing takes the right to delete, too
            return StorageError(
                f"{self}: these credentials lack the right {named[0] if named else right} in the bucket "
                f"{self.bucket.name!r} (status {code}). Grant it, for example with the role "
                "roles/storage.objectUser on the bucket, then run again."
            )
        if code and not tried:
            return StorageError(
                f"{self}: Google Cloud Storage refuses it with status {code}. What was committed before is "
                "whole and is kept."
            )
        if not (tried or isinstance(error, RequestException | DataCorruption | ConnectionError)):
            return None
        return self._unanswered(f"status {code}" if code else type(error).__name__)

    def _unanswered(self, status: str) -> StorageError:
        told = StorageError(
            f"{self}: Google Cloud Storage gave no good answer ({status}), though asked for up to "
            f"{self.bucket.patience.altogether:g} seconds. Run again: what was committed before is whole and "
            "kept."
        )
        # A step that fails for this is tried again.
        told.__cause__ = ConnectionError(status)
        return told

    @property
    def _content_type(self) -> str:
        """What a browser is to take an object for, by its name."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"


def _stored(blob: "storage.Blob", kept: Any = None) -> Stored:
    notes = blob.metadata or {}
    given = int(blob.size), int(blob.generation), str(blob.crc32c)
    return Stored(*given, notes.get(SHA256), notes.get(WRITTEN_BY), kept)


@contextmanager
def whole_object(path: BucketPath) -> Iterator[CountedFile]:
    """Open a new object for writing; on leaving without an error it is uploaded.

    Until then its bytes are in memory, and above 8 MiB in a temporary file: `Blob.open("wb")` would send the
    notes, and with them the digest, before the bytes that it is of.

    Raises:
        StorageError: it cannot be written, or there is one of that name.
    """
    with SpooledTemporaryFile(IN_MEMORY) as content:
        new = CountedFile(content)
        try:
            yield new
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise StorageError(
                f"{path} could not be gathered before its upload ({error.strerror}): free space in the "
                "folder of temporary files, or set TMPDIR to another, then run again."
            ) from error
        try:
            path.put(content, new.size, new.sha256, NOTHING)
        except Overtaken:
            raise StorageError(f"{path} is there already: run again.") from None


def bucket_root(text: str, variable: str) -> tuple[str, str]:
    """Bucket and key that a setting names.

    Raises:
        StorageError: it is not the URL of a bucket, or of a folder in one; names `variable`.
    """
    name, _, key = text.removeprefix(SCHEME).partition("/")
    parts = [part for part in key.split("/") if part]
    if (
        not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", name)
        or re.search(r"[\x00-\x1f\x7f?#*\[\]]", key)
        or {".", ".."} & set(parts)
    ):
        raise StorageError(
            f"{variable}={text!r} names no bucket: set it to {SCHEME}BUCKET or {SCHEME}BUCKET/FOLDER."
        )
    return name, "/".join(parts)
