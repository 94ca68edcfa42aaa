"""Classes named as `module:Class`, by which a configuration names one of the user's own."""

from importlib import import_module

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


def short(name: str) -> str:
    """The class of `module:Class`, and any other name as it is."""
    return name.rpartition(":")[2]
