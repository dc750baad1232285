"""The emulator of Google Cloud Storage on loopback, with what it lacks and we rely on, and with faults.

The emulator knows no preconditions and no generations on reading, and serves one request at a time. Here a
write or a removal with `ifGenerationMatch` is refused with 412 where the real one refuses it (a resumable
upload when it begins, and again when it ends), and a generation that is no longer there is not found. Of an
upload in pieces, bytes that come again are ignored, and who asks again for its end is told it again.
"""

import copy
import io
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

import pytest
from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.server import RequestHandler, Router
from gcp_storage_emulator.storage import Storage
from google.cloud import storage

from snake_assets.storage.objectstore.gcs import Bucket, BucketPath, Patience

BUCKET = "store-of-snakes"
PATIENCE = Patience(connection=5, silence=5, altogether=20, first_pause=0.001)
OBJECT = re.compile(r"/b/(?P<bucket>[^/]+)/o/(?P<name>[^/?]+)(?:/rewriteTo/b/[^/]+/o/(?P<copy>[^/?]+))?$")
HALF, LOST, SILENCE = "half", "lost", "silence"


@dataclass(frozen=True)
class Asked:
    """A request: its method, path and query, and which of all it is, from 0."""

    method: str
    path: str
    query: dict[str, str]
    number: int

    @property
    def writes(self) -> bool:
        return self.method in ("POST", "PUT", "DELETE")


class Moved(Exception):
    """A precondition does not hold."""


class Objects(Storage):
    """The emulator's objects, with preconditions; tells `watch` of every change."""

    def __init__(self) -> None:
        super().__init__(use_memory_fs=True)
        self.expected: str | None = None
        self.expected_at_end: dict[str, str | None] = {}
        self.ended: dict[str, Any] = {}
        self.watch: Callable[[Objects], None] = lambda objects: None

    def generation(self, bucket: str, name: str) -> str:
        return self.objects.get(bucket, {}).get(name, {"generation": "0"})["generation"]

    def content(self, name: str) -> bytes:
        return self.get_file(BUCKET, name)

    def names(self) -> list[str]:
        return sorted(self.objects.get(BUCKET, {}))

    def create_file(self, bucket: str, name: str, content: Any, obj: Any, file_id: str | None = None) -> None:
        self._check(bucket, name, self.expected_at_end.get(file_id) if file_id else self.expected)
        super().create_file(bucket, name, content or b"", obj, file_id)
        # The link that the emulator makes is of another generation than the object.
        self.objects[bucket][name].pop("mediaLink", None)
        if file_id:
            self.ended[file_id] = obj
        self.watch(self)

    def create_resumable_upload(self, bucket: str, name: str, obj: Any) -> str:
        self._check(bucket, name, self.expected)
        upload: str = super().create_resumable_upload(bucket, name, obj)
        self.expected_at_end[upload] = self.expected
        return upload

    def add_to_resumable_upload(
        self, file_id: str, content: bytes, total_size: int | None = None, expected_start: int | None = None
    ) -> bytes | None:
        there = self.get_resumable_byte_count(file_id)
        if expected_start is not None and expected_start < there:
            content, expected_start = content[there - expected_start :], there
        whole: bytes | None = super().add_to_resumable_upload(file_id, content, total_size, expected_start)
        return whole

    def snapshot(self) -> Any:
        return copy.deepcopy((self.objects, self._store._files))

    def restore(self, snapshot: Any) -> None:
        self.objects, self._store._files = copy.deepcopy(snapshot)

    def delete_file(self, bucket: str, name: str) -> None:
        self._check(bucket, name, self.expected)
        super().delete_file(bucket, name)
        self.watch(self)

    def _check(self, bucket: str, name: str, expected: str | None) -> None:
        if expected is not None and self.generation(bucket, name) != expected:
            raise Moved


@dataclass
class Cloud:
    """What tests set and see.

    Attributes:
        url: of the server.
        objects: what is stored.
        fault: what goes wrong with a request: a status, HALF of the answer, an answer that is LOST after the
            request was done, SILENCE; None for nothing.
        asked: every request so far.
        sent: bytes of all answers so far, with their headers.
    """

    url: str
    objects: Objects
    fault: Callable[[Asked], int | str | None] = lambda asked: None
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def folder(self, key: str, patience: Patience = PATIENCE, bucket: str = BUCKET) -> BucketPath:
        """A folder of the bucket."""
        return BucketPath(Bucket(bucket, connect, patience), key)


class Handler(RequestHandler):  # type: ignore[misc]
    def __init__(self, cloud: Cloud, *given: Any) -> None:
        self.cloud = cloud
        super().__init__(cloud.objects, *given)

    def answer(self) -> None:
        url = urlparse(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        with self.cloud.lock:
            asked = Asked(self.command, unquote(url.path), query, len(self.cloud.asked))
            self.cloud.asked.append(asked)
            fault = self.cloud.fault(asked)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if fault == SILENCE:
            self.rfile.read()  # until the other side has had enough
            return
        if isinstance(fault, int):
            self._say(fault, REASONS.get(fault, "try again"))
            return
        wire, self.rfile, self.wfile = self.wfile, io.BytesIO(body), io.BytesIO()
        with self.cloud.lock:
            self._do(url.path, query)
        answer = self.wfile.getvalue()
        self.cloud.sent += len(answer)
        if fault == LOST:
            return
        body_size = len(answer.partition(b"\r\n\r\n")[2])
        wire.write(answer[: len(answer) - (body_size + 1) // 2] if fault else answer)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def _do(self, path: str, query: dict[str, str]) -> None:
        objects = self.cloud.objects
        bucket = re.search(r"/b/([^/]+)", path)
        if bucket and bucket[1] not in objects.buckets:
            self._say(404, "The specified bucket does not exist.")
            return
        one = OBJECT.search(path)
        there = objects.generation(one["bucket"], unquote(one["name"])) if one else None
        if "generation" in query and query["generation"] != there:
            self._say(404, "No such object")
            return
        if (upload := query.get("upload_id")) in objects.ended:
            self._tell(200, objects.ended[upload])
            return
        objects.expected = query.get("ifGenerationMatch")
        try:
            Router(self).handle(self.command)
        except Moved:
            self._say(412, "At least one of the pre-conditions you specified did not hold.")
        finally:
            objects.expected = None

    def _say(self, status: int, message: str) -> None:
        self._tell(status, {"error": {"code": status, "message": message}})

    def _tell(self, status: int, told: object) -> None:
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


REASONS = {
    403: "somebody does not have storage.objects.create access to the Google Cloud Storage object.",
    429: "The object exceeded the rate limit for object mutation operations.",
}


@cache
def _client(url: str) -> storage.Client:
    return storage.Client()


def connect() -> storage.Client:
    """The client of the server that the environment names."""
    return _client(os.environ["STORAGE_EMULATOR_HOST"])


class Server(ThreadingHTTPServer):
    daemon_threads = True


@contextmanager
def cloud() -> Iterator[Cloud]:
    """A server on a free port, with one bucket, that the environment names; it is gone afterwards."""
    objects = Objects()
    create_bucket(BUCKET, objects)
    state = Cloud("", objects)
    server = Server(("127.0.0.1", 0), lambda *given: Handler(state, *given))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("STORAGE_EMULATOR_HOST", state.url)
            # Asked for by a thread of its own, whenever it gets to it.
            patch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
            yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
