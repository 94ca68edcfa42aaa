"""What every step of a night is given, and how a step is run from the command line."""

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib import import_module

from jobs.landing.raw import LandingZoneError, Raw
from jobs.runtime.failure import Failure, leave
from lake import storage
from lake.lake import Lake, LakeError
from schemas.config import Config, ConfigError, load


class UserError(Exception):
    """A mistake by the user: one line that says what arrived, what was expected and what to do. Exit code 2."""


class NightError(Exception):
    """A night cannot go on: a law would be broken. The message names the law, the partition and what to do.

    `law` is a key of `jobs.runtime.failure.LAWS`, `partition` the rows concerned, such as
    `date=2026-11-07/step=clean_items`.
    """

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
    def of(cls, *, date_: str, raw: str | None, lake: str | None, config: str | None) -> "Night":
        """A night from what the command line or the environment says.

        Raises:
            UserError: the date is none, or a path is missing.
            ConfigError: the configuration cannot be used.
        """
        try:
            day = date.fromisoformat(date_)
        except ValueError:
            raise UserError(f"--date {date_!r} is no date; expected YYYY-MM-DD") from None
        raw, lake = location("raw", raw), location("lake", lake)
        return cls(day, Raw(raw), Lake(lake), load(config or os.environ.get("NIGHTWEAVE_CONFIG") or "embedded"))


def location(what: str, given: str | None) -> str:
    """Where RAW or LAKE is: as given, else from the environment.

    Raises:
        UserError: neither says.
        StorageError: nothing that can be used is there.
    """
    variable = f"NIGHTWEAVE_{what.upper()}"
    place = given or os.environ.get(variable)
    if not place:
        raise UserError(f"--{what} is missing; give a path or URI, or set {variable}")
    storage.check(storage.as_uri(place))
    return place


def run_step(module: str, *, options: tuple[str, ...] = (), flags: Mapping[str, bool] | None = None) -> None:
    """Run one step from the command line: `--date`, `--raw`, `--lake`, `--config`, the step's own `options`, and its
    `flags` by their default, each of which is set by `--NAME` and unset by `--no-NAME`.

    The step is the function `run(night, arguments)` of `module`, which is imported under its own name even where it
    is the script that runs: Spark's workers find what a task uses by that name.
    """
    step = import_module(module)
    parser = argparse.ArgumentParser(description=step.__doc__)
    for name in ("date", *options):
        parser.add_argument(f"--{name}", required=True)
    for name in ("raw", "lake", "config"):
        parser.add_argument(f"--{name}")
    for name, default in (flags or {}).items():
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=default)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    for noisy in ("py4j", "nightweave.deltalake"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with user_errors():
        night = Night.of(date_=arguments.date, raw=arguments.raw, lake=arguments.lake, config=arguments.config)
        step.run(night, arguments)


@contextmanager
def user_errors() -> Iterator[None]:
    """Within it, a user's mistake ends the process with one line and exit code 2, a failed night with 1."""
    try:
        yield
    except (UserError, ConfigError, LandingZoneError, FileNotFoundError, LakeError, storage.StorageError) as error:
        sys.exit(_say(error, 2))
    except NightError as error:
        sys.exit(_say(error, 1))


def _say(error: Exception, code: int) -> int:
    print(f"nightweave: {error}", file=sys.stderr)
    law, partition = (error.law, error.partition) if isinstance(error, NightError) else (None, None)
    leave(Failure(str(error), law, partition))
    return code
