"""Classes by name, imported when they are asked for, and arguments within their ranges."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from schemas.errors import did_you_mean


def named(kind: str, table: Mapping[str, str], name: str) -> Any:
    """The class that a table, name → `module:class`, has under a name.

    Raises:
        ValueError: none; the message calls the class a `kind`, gives the nearest name and lists all of them.
    """
    if name not in table:
        near = did_you_mean(name, table)
        raise ValueError(f"{kind} {name!r}: unknown; {near}choose one of {', '.join(sorted(table))}")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)


def created(kind: str, table: Mapping[str, str], name: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """An object of that class.

    Raises:
        ValueError: there is no such class, it takes no such parameter, or a parameter is out of its range.
    """
    made = named(kind, table, name)
    try:
        return made(**(parameters or {}))
    except ValidationError as error:
        raise ValueError(f"{kind} {name!r}: {in_words(error)}") from error
    except TypeError as error:
        raise ValueError(f"{kind} {name!r}: {error}") from error


def in_words(error: ValidationError) -> str:
    """What pydantic found, on one line: each argument, its value and what is expected."""
    return "; ".join(
        f"{'.'.join(map(str, found['loc']))} {found['input']!r}: {found['msg'][:1].lower()}{found['msg'][1:]}"
        for found in error.errors(include_url=False)
    )
