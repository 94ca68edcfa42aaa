"""Registry look-ups: a class by its name, imported on first use, and an object of it with checked arguments."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from schemas.classes import class_at
from schemas.config import in_words
from schemas.errors import did_you_mean


def class_by_name(kind: str, table: Mapping[str, str], name: str, *, base: type | None = None) -> Any:
    """Imports the class that `table`, name → `module:class`, holds under `name`, or that `name` itself is in that form.

    Args:
        kind: what such a class is called in error messages.
        base: of classes that are named as `module:Class`; None where they have to be in the table.

    Raises:
        ValueError: the name is unknown, or its class not derived from the base; the message gives the nearest name and
            lists all of them.
    """
    if name in table:
        return class_at(table[name])
    if base is None or ":" not in name:
        own = "" if base is None else "; one of your own is named as module:Class"
        near = did_you_mean(name, table)
        raise ValueError(f"{kind} {name!r}: unknown; {near}choose one of {', '.join(sorted(table))}{own}")
    try:
        found = class_at(name)
    except ValueError as error:
        raise ValueError(f"{kind} {error}") from error
    if not issubclass(found, base):
        expected = f"{base.__module__}:{base.__name__}"
        raise ValueError(f"{kind} {name!r}: {found.__name__} does not derive from {expected}, as it has to")
    return found


def create_by_name(
    kind: str,
    table: Mapping[str, str],
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    base: type | None = None,
) -> Any:
    """Makes an object of the class that `class_by_name` returns.

    Raises:
        ValueError: the name is unknown, the class takes no such parameter, or a parameter is out of its range.
    """
    cls = class_by_name(kind, table, name, base=base)
    try:
        return cls(**(parameters or {}))
    except ValidationError as error:
        raise ValueError(f"{kind} {name!r}: {in_words(error)}") from error
    except TypeError as error:
        raise ValueError(f"{kind} {name!r}: {error}") from error
