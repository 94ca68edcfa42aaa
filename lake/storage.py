"""Where RAW and LAKE are: a path or a URI as a file system, and as options of Delta's own client.

Credentials come from the environment as every client of the store reads them (`AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`; `GOOGLE_APPLICATION_CREDENTIALS`;
`HADOOP_CONF_DIR`), or from the machine's own role. None is ever part of a URI.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from schemas.errors import NightweaveError

SCHEMES = ("file", "s3", "gs", "hdfs")


class StorageError(NightweaveError):
    """RAW or LAKE cannot be reached; the message names the place and the cause."""


def as_uri(place: str) -> str:
    """Return a local path or a URI as a URI, without a slash at its end.

    >>> as_uri("/srv/lake/"), as_uri("s3://bucket/lake/")
    ('file:///srv/lake', 's3://bucket/lake')

    Raises:
        StorageError: the scheme is none of `SCHEMES`, or the URI holds a name or a password.
    """
    if "://" not in place:
        return Path(place).resolve().as_uri().rstrip("/")
    parts = urlsplit(place)
    if parts.scheme not in SCHEMES:
        raise StorageError(f"{place}: expected a path, or a URI that begins with {', '.join(SCHEMES)}")
    if parts.username or parts.password:
        where = place.replace(parts.netloc, parts.hostname or "")
        raise StorageError(f"{where}: leave credentials out of the URI; they come from the environment")
    return place.rstrip("/")


def filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """Return the file system of a URI, and the path in it.

    >>> filesystem("file:///srv/lake/")[1]
    '/srv/lake'
    """
    found, root = pafs.FileSystem.from_uri(uri)
    return found, root.rstrip("/")


def delta_options(uri: str) -> dict[str, str]:
    """Return delta-rs' options for a URI: on S3 a commit is a put that the store refuses where its version exists."""
    if urlsplit(uri).scheme != "s3":
        return {}
    options = {"aws_conditional_put": "etag"}
    # Arrow prefers the address that is for S3 alone, so Delta has to as well.
    if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        options |= {"aws_endpoint_url": endpoint, "allow_http": str(endpoint.startswith("http://")).lower()}
    return options


def check(uri: str) -> None:
    """Check that a store answers and accepts the credentials; a path on this machine is not looked at.

    Raises:
        StorageError: it does not, or there is no such bucket.
    """
    if urlsplit(uri).scheme == "file":
        return
    try:
        store, root = filesystem(uri)
        bucket = root.partition("/")[0]
        absent = urlsplit(uri).scheme != "hdfs" and store.get_file_info(bucket).type == pafs.FileType.NotFound
        store.get_file_info(root)
    except (OSError, pa.ArrowException) as error:
        raise StorageError(
            f"{uri}: {' '.join(str(error).split())}; look at the address and the credentials in the environment"
        ) from None
    if absent:
        raise StorageError(f"{uri}: there is no bucket {bucket!r}; make it first")
