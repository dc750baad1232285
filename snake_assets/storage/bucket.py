"""A bucket of Google Cloud Storage: how it is reached, how long it is waited for, what its refusals mean.

Credentials come from the environment alone (Application Default Credentials), by way of the client that is
handed down. No message here repeats what an error of the network says: it may name a session of an upload,
which whoever knows it may write to.
"""

import errno
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from snake_assets.storage.errors import StorageError

if TYPE_CHECKING:
    from google.cloud import storage

Result = TypeVar("Result")
GET, LIST, CREATE, DELETE = (f"storage.objects.{verb}" for verb in ("get", "list", "create", "delete"))


class Overtaken(Exception):
    """The object is another than the one that was to be replaced: somebody else was quicker."""


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds: for a connection, for a silent one, for all attempts together.

    `first_pause` is the longest pause before the second attempt; later ones double, up to a minute.
    """

    connection: float = 10
    silence: float = 60
    altogether: float = 300
    first_pause: float = 1


@dataclass(frozen=True)
class Bucket:
    """A bucket by its name.

    Attributes:
        name: of the bucket.
        connect: gives the client; called often, so it keeps it, and is known by its name in other processes.
        patience: how long is waited.
    """

    name: str
    connect: Callable[[], "storage.Client"]
    patience: Patience = Patience()

    @property
    def timeout(self) -> tuple[float, float]:
        """For a connection, and for the next byte, in seconds."""
        return self.patience.connection, self.patience.silence

    def retry(self) -> Any:
        """What the client is told of trying again; only for what may be done twice."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        pause = self.patience.first_pause
        return DEFAULT_RETRY.with_delay(initial=pause, maximum=60 * pause).with_timeout(
            self.patience.altogether
        )

    def ask(self, what: object, right: str, call: Callable[["storage.Bucket"], Result]) -> Result:
        """Have something done in the bucket.

        Args:
            what: URL of the object, or of the folder, for messages.
            right: that it takes.
            call: does it.

        Raises:
            FileNotFoundError: there is no such object.
            Overtaken: a precondition does not hold.
            StorageError: no bucket, no credentials, no right; or no good answer within the patience.
        """
        from google.api_core.exceptions import NotFound, PreconditionFailed
        from google.auth.exceptions import GoogleAuthError, TransportError

        try:
            return call(self.connect().bucket(self.name))
        except PreconditionFailed:
            raise Overtaken(str(what)) from None
        except NotFound as error:
            # Both are a 404; only the text tells them apart.
            if right in (GET, DELETE) and "bucket does not exist" not in str(error):
                raise FileNotFoundError(errno.ENOENT, "no such object", str(what)) from None
            raise StorageError(
                f"{what}: the bucket {self.name!r} does not exist. Create it, or mend its name."
            ) from None
        except GoogleAuthError as error:
            if isinstance(error, TransportError):
                raise self._unanswered(what, type(error).__name__) from ConnectionError(type(error).__name__)
            raise StorageError(
                f"{what}: there are no credentials for Google Cloud, or they are refused "
                f"({type(error).__name__}). Run `gcloud auth application-default login`, or set "
                "GOOGLE_APPLICATION_CREDENTIALS to the file of a service account."
            ) from None
        except Exception as error:
            explained = self._explained(error, what, right)
            raise explained from explained.__cause__

    def _explained(self, error: Exception, what: object, right: str) -> Exception:
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
        from requests import RequestException

        tried = isinstance(error, RetryError)
        if isinstance(error, RetryError) and isinstance(error.cause, Exception):
            error = error.cause
        code = error.code if isinstance(error, GoogleAPICallError) else None
        if isinstance(error, InvalidResponse):
            code = error.response.status_code
        if code in (401, 403):
            named = re.search(r"storage\.\w+\.\w+", str(error))  # replacing takes the right to delete, too
            return StorageError(
                f"{what}: these credentials lack the right {named[0] if named else right} in the bucket "
                f"{self.name!r} (status {code}). Grant it, for example with the role "
                "roles/storage.objectUser on the bucket, then run again."
            )
        if code and not tried:
            return StorageError(
                f"{what}: Google Cloud Storage refuses it with status {code}. What was committed before is "
                "whole and is kept."
            )
        if not (tried or isinstance(error, RequestException | DataCorruption | ConnectionError)):
            return error
        status = f"status {code}" if code else type(error).__name__
        told = self._unanswered(what, status)
        # A step that fails for this is tried again.
        told.__cause__ = ConnectionError(status)
        return told

    def _unanswered(self, what: object, status: str) -> StorageError:
        return StorageError(
            f"{what}: Google Cloud Storage gave no good answer ({status}), though asked for up to "
            f"{self.patience.altogether:g} seconds. Run again: what was committed before is whole and kept."
        )
