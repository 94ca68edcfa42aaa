"""What every step of a night is given, and how the errors that people see end a process."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from jobs.landing.raw import Raw
from jobs.runtime.failure import Failure, leave
from lake import staging, storage
from lake.lake import Lake
from schemas.config import Config, load
from schemas.errors import NightweaveError
from schemas.tables import TABLES


class UserError(NightweaveError):
    """A mistake by the user: one line with what arrived, what was expected and what to do."""


class NightError(NightweaveError):
    """A night cannot go on: a law would be broken. The message names the law, the partition and what to do.

    `law` is a key of `jobs.runtime.failure.LAWS`, `partition` the rows concerned, such as
    `date=2026-11-07/step=clean_items`.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, law: int | None = None, partition: str | None = None) -> None:
        super().__init__(message)
        self.law = law
        self.partition = partition


@dataclass(frozen=True)
class Night:
    """One night: its date, where it reads and writes, and its configuration."""

    date: date
    raw: Raw
    lake: Lake
    config: Config

    @property
    def ds(self) -> str:
        """The night as the partitions spell it, ISO 8601."""
        return self.date.isoformat()

    @classmethod
    def of(
        cls,
        *,
        date_: str,
        raw: str | None,
        lake: str | None,
        config: str | None,
        staged: bool = False,
        option: str = "--date",
    ) -> "Night":
        """A night from the command line's options, each taken from the environment where it is not given.

        Args:
            option: the one that the date was given by.
            staged: it is for a step of the night's run: what is written of the night is staged until it is published.

        Raises:
            UserError: the date is none, or a path is missing.
            StorageError: RAW or LAKE cannot be reached.
            ConfigError: the configuration cannot be read, or does not validate.
        """
        day = day_of(date_, option=option)
        raw, lake = location("raw", raw), location("lake", lake)
        settings = load(config_source(config))
        tables = staging.as_of(Lake(lake), day) if staged else Lake(lake)
        return cls(day, Raw(raw, settings.clean.record_files), tables, settings)


def day_of(text: str, *, option: str = "--date") -> date:
    """A date in ISO 8601, `YYYY-MM-DD`.

    Raises:
        UserError: it is none; the message names the option that it was given by.
    """
    if not text:
        raise UserError(
            f"{option} is empty; give the night as YYYY-MM-DD. A run of the DAG without a logical date has no night: "
            "trigger it again with one, such as --logical-date 2026-11-07T00:00:00Z"
        )
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} {text!r} is no date; expected YYYY-MM-DD") from None


def location(what: str, given: str | None) -> str:
    """Path or URI of `raw` or `lake`: as given, else from the environment.

    Raises:
        UserError: neither has it, or it is a file.
        StorageError: it cannot be reached.
    """
    variable = f"NIGHTWEAVE_{what.upper()}"
    place = given or os.environ.get(variable)
    if not place:
        raise UserError(f"--{what} is missing; give a path or URI, or set {variable}")
    storage.check(storage.as_uri(place))
    if file := _file_on_the_way(place):
        raise UserError(f"--{what} {place}: {file} is a file; expected a folder")
    return place


def check_writable(lake: Lake) -> None:
    """See that the tables may be written, where LAKE is on this machine.

    Raises:
        UserError: they may not.
    """
    if urlsplit(lake.uri).scheme != "file":
        return
    path = Path(storage.filesystem(lake.uri)[1])
    there = next(one for one in (path, *path.parents) if one.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"--lake {lake.uri}: {there} may not be written; give a folder that may")


def _file_on_the_way(place: str) -> Path | None:
    """The local file that a path leads to or through, which can be no folder; None where there is none."""
    uri = storage.as_uri(place)
    if urlsplit(uri).scheme != "file":
        return None
    path = Path(storage.filesystem(uri)[1])
    return next((one for one in (path, *path.parents) if one.is_file()), None)


def existing_lake(given: str | None) -> Lake:
    """The lake that is there at `location`.

    Raises:
        UserError, StorageError: as `location` and `check_lake`.
    """
    lake = Lake(location("lake", given))
    check_lake(lake)
    return lake


def check_lake(lake: Lake) -> None:
    """See that there is a lake.

    Raises:
        UserError: there is none at that place.
    """
    if not lake.exists():
        raise UserError(
            f"{lake.uri} is no lake: none of its tables is there ({', '.join(list(TABLES)[:3])}, ...); look at --lake "
            "and NIGHTWEAVE_LAKE, or make one with nightweave night"
        )


def config_source(given: str | None) -> str:
    """File or profile of the configuration: as given, else from the environment, else the default profile."""
    return given or os.environ.get("NIGHTWEAVE_CONFIG") or "embedded"


@contextmanager
def user_errors() -> Iterator[None]:
    """Within it, a `NightweaveError` ends the process with its message in one line on standard error and its exit code.

    Of every error, what it was is also left for the task that started the process (`jobs.runtime.failure`).
    """
    try:
        yield
    except NightweaveError as error:
        print(f"nightweave: {error}", file=sys.stderr)
        leave(Failure.of(error))
        sys.exit(error.exit_code)
    except Exception as error:
        leave(Failure.of(error))
        raise
