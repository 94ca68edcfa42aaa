"""A PostgreSQL cluster for the time of the tests: loopback, a password made for it, files that nobody keeps."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.processes import Service, free_port

DEBIAN = Path("/usr/lib/postgresql")
SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "max_connections": "200"}


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`: Debian's newest, else that of PATH; None where there is none."""
    versions = [int(p.name) for p in DEBIAN.glob("*") if p.name.isdigit() and (p / "bin" / "initdb").exists()]
    if versions:
        return DEBIAN / str(max(versions)) / "bin"
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@dataclass
class Database:
    """An empty database `airflow` on a server that runs; `url` is for SQLAlchemy with psycopg2."""

    url: str
    start: Callable[[], Service]
    server: Service

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Within it, the server is stopped; whoever is connected loses the connection."""
        self.server.stop(by=signal.SIGINT)
        try:
            yield
        finally:
            self.server = self.start()


@contextmanager
def cluster(logs: Path) -> Iterator[Database]:
    """Within it, a server with a database."""
    binaries = programs()
    if binaries is None:
        raise RuntimeError("no PostgreSQL server is installed; `make services` installs Debian's")
    folder, password, port = Path(tempfile.mkdtemp(prefix="nightweave-pg-")), secrets.token_hex(16), free_port()
    who = _unprivileged(folder)
    try:
        secret = folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        if who:
            os.chown(secret, who["user"], who["group"])
        initdb = [binaries / "initdb", "-D", folder / "data", "-U", "airflow", "--auth=scram-sha-256"]
        options = [f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run([*initdb, *options], check=True, capture_output=True, cwd=folder, **who)
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [str(binaries / "postgres"), "-D", str(folder / "data"), "-p", str(port), *settings]

        url = f"postgresql+psycopg2://airflow:{password}@127.0.0.1:{port}"

        def start() -> Service:
            server = Service.start("postgres", command, logs=logs, env=os.environ, cwd=folder, **who)
            server.wait_until(lambda: _answers(f"{url}/postgres"))
            return server

        database = Database(f"{url}/airflow", start, start())
        try:
            _create_database(url)
            yield database
        finally:
            database.server.stop(by=signal.SIGINT)
    finally:
        shutil.rmtree(folder)


def _unprivileged(folder: Path) -> dict[str, Any]:
    """Whom the server runs as, since it refuses to run as root: `postgres` or nobody, who gets the folder."""
    if os.geteuid():
        return {}
    accounts = {account.pw_name: account for account in pwd.getpwall()}
    account = accounts.get("postgres", accounts["nobody"])
    os.chown(folder, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _answers(url: str) -> bool:
    """Whether it takes queries: it listens before it does."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError

    engine = create_engine(url)
    try:
        engine.connect().close()
    except OperationalError:
        return False
    finally:
        engine.dispose()
    return True


def _create_database(url: str) -> None:
    from sqlalchemy import create_engine, text

    engine = create_engine(f"{url}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE airflow"))
    engine.dispose()
