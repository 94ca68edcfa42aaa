"""Classes by name, imported when they are asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def named(kind: str, table: Mapping[str, str], name: str) -> Any:
    """The class that a table, name → `module:class`, has under a name.

    Raises:
        ValueError: none; the message calls the class a `kind` and lists the names there are.
    """
    if name not in table:
        raise ValueError(f"{kind} {name!r}: unknown; choose one of {', '.join(sorted(table))}")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)


def created(kind: str, table: Mapping[str, str], name: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """An object of that class.

    Raises:
        ValueError: there is no such class, or it takes no such parameter.
    """
    made = named(kind, table, name)
    try:
        return made(**(parameters or {}))
    except TypeError as error:
        raise ValueError(f"{kind} {name!r}: {error}") from error
