"""Where RAW and LAKE are: a path or a URI as a file system, and as options of Delta's own client.

Credentials come from the environment as every client of the store reads them (`AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`; `GOOGLE_APPLICATION_CREDENTIALS`;
`HADOOP_CONF_DIR`), or from the machine's own role. None is ever part of a URI.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from schemas.errors import NightweaveError

if TYPE_CHECKING:
    # DAG files import `as_uri` and are parsed over and over: Arrow is imported where it is used.
    import pyarrow.fs as pafs

SCHEMES = ("file", "s3", "gs", "hdfs")


class StorageError(NightweaveError):
    """RAW or LAKE cannot be reached; the message names the place and the cause."""


def as_uri(place: str) -> str:
    """Return a local path or a URI as a URI, percent-encoded, without a slash at its end.

    A place has no query and no fragment: `?` and `#` are characters of its path. In a path `%20` is three characters,
    in a URI it is a space.

    >>> as_uri("/srv/lake/"), as_uri("s3://bucket/lake/")
    ('file:///srv/lake', 's3://bucket/lake')
    >>> as_uri("/srv/50% #2"), as_uri("s3://bucket/50%25 #2")
    ('file:///srv/50%25%20%232', 's3://bucket/50%25%20%232')

    Raises:
        StorageError: the scheme is none of `SCHEMES`, the URI holds a name or a password, a `file` URI a host, or
            another URI a host that cannot be one.
    """
    if "://" not in place:
        return Path(place).resolve().as_uri().rstrip("/")
    scheme, _, rest = place.partition("://")
    host, slash, path = rest.partition("/")
    credentials, _, host = host.rpartition("@")
    if scheme not in SCHEMES:
        raise StorageError(f"{place}: expected a path, or a URI that begins with {', '.join(SCHEMES)}")
    if credentials:
        raise StorageError(
            f"{scheme}://{host}{slash}{path}: leave credentials out of the URI; they come from the environment"
        )
    if scheme == "file" and host:
        raise StorageError(f"{place}: expected file:///PATH, without a host, got the host {host!r}")
    if set("?#") & set(host):
        raise StorageError(f"{place}: expected {scheme}://NAME/PATH, got the name {host!r}")
    return f"{scheme}://{host}{slash}{quote(unquote_to_bytes(os.fsencode(path)))}".rstrip("/")


def lake_uri(place: str) -> str:
    """Return LAKE, a local path or a URI, as a URI that Delta's client reads as well.

    Raises:
        StorageError: as `as_uri`; or its path has characters that Delta's client decodes once too often.
    """
    uri = as_uri(place)
    if found := re.search(r"%25[0-9A-Fa-f]{2}|%5C", uri):
        raise StorageError(
            f"{place}: LAKE cannot lie in a folder with {unquote(found.group())!r} in its name, which Delta's client "
            "takes for another character; rename the folder, or choose another one"
        )
    return uri


def filesystem(uri: str) -> "tuple[pafs.FileSystem, str]":
    """Return the file system of a URI, and the path in it.

    >>> filesystem("file:///srv/lake/")[1]
    '/srv/lake'
    """
    from pyarrow.fs import FileSystem

    found, root = FileSystem.from_uri(uri)
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
    from pyarrow import ArrowException
    from pyarrow.fs import FileType

    try:
        store, root = filesystem(uri)
        bucket = root.partition("/")[0]
        absent = urlsplit(uri).scheme != "hdfs" and store.get_file_info(bucket).type == FileType.NotFound
        store.get_file_info(root)
    except (OSError, ArrowException) as error:
        raise StorageError(
            f"{uri}: {' '.join(str(error).split())}; look at the address and the credentials in the environment"
        ) from None
    if absent:
        raise StorageError(f"{uri}: there is no bucket {bucket!r}; make it first")
