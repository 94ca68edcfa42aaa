"""Classes named as `module:Class`, by which a configuration names one of the user's own, and their parameters."""

import inspect
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from schemas.errors import did_you_mean


def class_at(place: str) -> type:
    """Imports the class that `module:Class` names.

    Raises:
        ValueError: there is no such module, or no such class in it; the message gives the nearest that there is.
    """
    module, _, name = place.partition(":")
    try:
        found = import_module(module)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{place!r} cannot be imported: {error}") from error
    classes = {each: value for each, value in vars(found).items() if isinstance(value, type)}
    if name not in classes:
        near = did_you_mean(name, classes)
        raise ValueError(f"{place!r} cannot be imported: {module} has no class {name!r}; {near}expected module:Class")
    return classes[name]


def check_parameters(what: str, cls: type, given: Iterable[str]) -> None:
    """See that a class's constructor takes every parameter that is given.

    Args:
        what: what the error calls the class.
        cls: the class.
        given: names of the parameters.

    Raises:
        ValueError: it does not take one; the message gives the nearest that it takes.
    """
    known = _arguments(cls)
    for name in given:
        if name not in known:
            near = did_you_mean(name, known)
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise ValueError(f"{what} has no parameter {name!r}; {near}{takes}")


def _arguments(cls: Any) -> list[str]:
    """Names of the arguments of a class's constructor, with those of its bases where it hands on `**others`, and the
    settings of a training where it has one."""
    names: list[str] = []
    for base in cls.__mro__:
        if "training_arguments" in vars(base):
            return [*names, *cls.training_arguments()]
        if "__init__" not in vars(base):
            continue
        _, *arguments = inspect.signature(vars(base)["__init__"]).parameters.values()
        names += [one.name for one in arguments if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
        if all(one.kind != one.VAR_KEYWORD for one in arguments):
            break
    return names


def short(name: str) -> str:
    """The class of `module:Class`, and any other name as it is."""
    return name.rpartition(":")[2]
