"""Registry look-ups: a class by its name, imported on first use, and an object of it with checked arguments."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from schemas.config import in_words
from schemas.errors import did_you_mean


def class_by_name(kind: str, table: Mapping[str, str], name: str) -> Any:
    """Imports the class that `table`, name → `module:class`, holds under `name`.

    Args:
        kind: what such a class is called in error messages.

    Raises:
        ValueError: the name is unknown; the message gives the nearest name and lists all of them.
    """
    if name not in table:
        near = did_you_mean(name, table)
        raise ValueError(f"{kind} {name!r}: unknown; {near}choose one of {', '.join(sorted(table))}")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)


def create_by_name(kind: str, table: Mapping[str, str], name: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """Makes an object of the class that `class_by_name` returns.

    Raises:
        ValueError: the name is unknown, the class takes no such parameter, or a parameter is out of its range.
    """
    cls = class_by_name(kind, table, name)
    try:
        return cls(**(parameters or {}))
    except ValidationError as error:
        raise ValueError(f"{kind} {name!r}: {in_words(error)}") from error
    except TypeError as error:
        raise ValueError(f"{kind} {name!r}: {error}") from error
